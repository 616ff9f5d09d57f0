/* The networks of DeepGaze III's readout for one image and one model, forwards and backwards.

   A row holds one channel of all cells, `width` numbers: the cells, then a padding that makes it a multiple of 16. The
   padding counts 0 positions, and gradients are 0 there. */

#ifndef ENTREG_NETWORKS_H
#define ENTREG_NETWORKS_H

#include <math.h>

#include "products.h"

/* outputs of the widest product; cells that are normalised at a time, and the length of their rows: an odd number of cache
   lines, since rows that are a power of 2 apart fall into the same few places of the cache */
enum { WIDE = 8, BLOCK = 128, BLOCK_ROW = BLOCK + 16 };

/* The layers after the widest product: softplus(matrix normalised(x) + shift). */
enum { LAYERS = 4, MOST = 128 };
static const int CHANNELS[LAYERS + 1] = {WIDE, 16, 1, 128, 16};

/* Numbers of a model's parameters in their order: the first shift, matrix and shift of each layer, the last row. */
enum { FIRST = WIDE, PARAMETERS = FIRST + (8 * 16 + 16) + (16 + 1) + (128 + 128) + (128 * 16 + 16) + 16 };

/* What a backward pass needs of the forward pass: the rows of all layers, the readout, mean and 1/deviation of each. */
enum { SAVED_ROWS = 8 + 16 + 1 + 128 + 16 + 1, SAVED_STATISTICS = 16 };

/* width: of a row, at least the number of cells and a multiple of 16
   positions: (width), how many positions of the readout each cell covers; total: their sum */
typedef struct {
    int cells, width;
    const float *positions;
    double total;
} Cells;

typedef struct {
    float mean, scale;
} Statistics;

/* Return mean and 1/deviation over the positions of all channels (layer normalisation with eps 1e-12). */
INLINE Statistics statistics(const Cells *cells, int channels, const float *x)
{
    /* measured from one of the numbers, so that a constant has exactly its mean */
    float origin = x[0];
    double mean = 0, variance = 0;
    for (int k = 0; k < channels; k++) {
        Vector s = {0};
        for (int i = 0; i < cells->width; i += LANES)
            s += (load(x + (size_t)k * cells->width + i) - origin) * load(cells->positions + i);
        mean += sum(s);
    }
    float middle = (float)(origin + mean / (channels * cells->total));
    for (int k = 0; k < channels; k++) {
        Vector s = {0};
        for (int i = 0; i < cells->width; i += LANES) {
            Vector centred = load(x + (size_t)k * cells->width + i) - middle;
            s += centred * centred * load(cells->positions + i);
        }
        variance += sum(s);
    }
    return (Statistics){middle, (float)(1 / sqrt(variance / (channels * cells->total) + 1e-12))};
}

/* Write the normalised numbers of `length` cells from `start` on to rows of BLOCK_ROW numbers. */
INLINE void normalise(const Cells *cells, int channels, const float *x, Statistics of, int start, int length, float *to)
{
    for (int k = 0; k < channels; k++)
        for (int i = 0; i < length; i += LANES)
            store(to + k * BLOCK_ROW + i, (load(x + (size_t)k * cells->width + start + i) - of.mean) * of.scale);
}

INLINE int least(int a, int b) { return a < b ? a : b; }

/* forward pass of one layer: x (inputs, width) -> y (outputs, width) */
INLINE void layer(const Cells *cells, int inputs, int outputs, const float *x, Statistics of, const float *matrix,
                  const float *shift, float *y, float *block)
{
    for (int start = 0; start < cells->width; start += BLOCK) {
        int length = least(BLOCK, cells->width - start);
        normalise(cells, inputs, x, of, start, length, block);
        product(outputs, length, inputs, matrix, inputs, 1, block, BLOCK_ROW, FLOAT32, y + start, cells->width, 0);
    }
    for (int k = 0; k < outputs; k++)
        for (int i = 0; i < cells->width; i += LANES) {
            float *at = y + (size_t)k * cells->width + i;
            store(at, softplus(load(at) + shift[k]));
        }
}

/* Turn gradients by normalised numbers, (channels, width), into those by the numbers themselves, in place. */
INLINE void normalise_backwards(const Cells *cells, int channels, const float *x, Statistics of, float *gradient)
{
    double plain = 0, scaled = 0;
    for (int k = 0; k < channels; k++) {
        Vector s = {0}, t = {0};
        for (int i = 0; i < cells->width; i += LANES) {
            size_t at = (size_t)k * cells->width + i;
            Vector g = load(gradient + at);
            s += g;
            t += g * ((load(x + at) - of.mean) * of.scale);
        }
        plain += sum(s);
        scaled += sum(t);
    }
    /* what each position adds to mean and deviation */
    float by_mean = (float)(plain / (channels * cells->total)), by_scale = (float)(scaled / (channels * cells->total));
    for (int k = 0; k < channels; k++)
        for (int i = 0; i < cells->width; i += LANES) {
            size_t at = (size_t)k * cells->width + i;
            Vector normal = (load(x + at) - of.mean) * of.scale;
            Vector common = (by_mean + normal * by_scale) * load(cells->positions + i);
            store(gradient + at, (load(gradient + at) - common) * of.scale);
        }
}

/* Multiply gradients by softplus' slope, in place, and write their sum for each channel. */
INLINE void softplus_backwards(const Cells *cells, int channels, const float *y, float *gradient, double *shift)
{
    for (int k = 0; k < channels; k++) {
        Vector s = {0};
        for (int i = 0; i < cells->width; i += LANES) {
            size_t at = (size_t)k * cells->width + i;
            Vector g = load(gradient + at) * slope(load(y + at));
            store(gradient + at, g);
            s += g;
        }
        shift[k] = sum(s);
    }
}

/* backward pass of one layer's product: gradients by y (outputs, width) -> by normalised x (inputs, width), by matrix */
INLINE void layer_backwards(const Cells *cells, int inputs, int outputs, const float *x, Statistics of,
                            const float *matrix, const float *by_y, float *by_x, double *by_matrix, float *block)
{
    for (int k = 0; k < inputs * outputs; k++)
        by_matrix[k] = 0;
    for (int start = 0; start < cells->width; start += BLOCK) {
        int length = least(BLOCK, cells->width - start);
        normalise(cells, inputs, x, of, start, length, block);
        dots(inputs, outputs, length, block, BLOCK_ROW, FLOAT32, by_y + start, cells->width, 1, by_matrix, 1, inputs);
        product(inputs, length, outputs, matrix, 1, inputs, by_y + start, cells->width, FLOAT32, by_x + start,
                cells->width, 0);
    }
}

/* The readout from the widest product.

   wide: (WIDE, width) the products, float64; parameters: (PARAMETERS)
   saved: SAVED_ROWS rows, of which the last is the readout, and SAVED_STATISTICS numbers
   block: MOST * BLOCK_ROW numbers */
static void networks(const Cells *cells, const double *wide, const float *parameters, float *saved, float *block)
{
    Statistics *of = (Statistics *)(saved + (size_t)SAVED_ROWS * cells->width);
    float *x = saved;
    for (int k = 0; k < WIDE; k++)
        for (int i = 0; i < cells->width; i++)
            x[(size_t)k * cells->width + i] = (float)wide[(size_t)k * cells->width + i] + parameters[k];
    for (int i = 0; i < WIDE * cells->width; i += LANES)
        store(x + i, softplus(load(x + i)));
    const float *matrix = parameters + FIRST;
    for (int l = 0; l < LAYERS; l++) {
        int inputs = CHANNELS[l], outputs = CHANNELS[l + 1];
        float *y = x + (size_t)inputs * cells->width;
        of[l] = statistics(cells, inputs, x);
        layer(cells, inputs, outputs, x, of[l], matrix, matrix + inputs * outputs, y, block);
        matrix += inputs * outputs + outputs;
        x = y;
    }
    product(1, cells->width, CHANNELS[LAYERS], matrix, 0, 1, x, cells->width, FLOAT32,
            x + (size_t)CHANNELS[LAYERS] * cells->width, cells->width, 0);
}

/* The gradients by the parameters and by the widest product, from those by the readout.

   saved: what `networks` wrote; by_readout: (width), 0 in the padding; to_parameters: (PARAMETERS)
   by_wide: (WIDE, width); gradients: 2 * MOST rows; block: MOST * BLOCK_ROW numbers */
static void networks_backwards(const Cells *cells, const float *parameters, const float *saved, const float *by_readout,
                               float *to_parameters, float *by_wide, float *gradients, float *block)
{
    const Statistics *of = (const Statistics *)(saved + (size_t)SAVED_ROWS * cells->width);
    const float *y = saved + (size_t)(SAVED_ROWS - 1 - CHANNELS[LAYERS]) * cells->width;
    double by_parameters[PARAMETERS];
    int end = PARAMETERS - CHANNELS[LAYERS];
    float *by_y = gradients, *by_x = gradients + (size_t)MOST * cells->width;
    for (int k = 0; k < CHANNELS[LAYERS]; k++) {
        Vector s = {0};
        for (int i = 0; i < cells->width; i += LANES) {
            size_t at = (size_t)k * cells->width + i;
            Vector g = load(by_readout + i);
            s += g * load(y + at);
            store(by_y + at, g * parameters[end + k]);
        }
        by_parameters[end + k] = sum(s);
    }
    for (int l = LAYERS - 1; l >= 0; l--) {
        int inputs = CHANNELS[l], outputs = CHANNELS[l + 1];
        const float *x = y - (size_t)inputs * cells->width;
        softplus_backwards(cells, outputs, y, by_y, by_parameters + end - outputs);
        end -= outputs + inputs * outputs;
        layer_backwards(cells, inputs, outputs, x, of[l], parameters + end, by_y, by_x, by_parameters + end, block);
        normalise_backwards(cells, inputs, x, of[l], by_x);
        float *free = by_y;
        by_y = by_x, by_x = free, y = x;
    }
    softplus_backwards(cells, WIDE, y, by_y, by_parameters);
    memcpy(by_wide, by_y, sizeof(float) * WIDE * cells->width);
    for (int i = 0; i < PARAMETERS; i++)
        to_parameters[i] = (float)by_parameters[i];
}

#endif
