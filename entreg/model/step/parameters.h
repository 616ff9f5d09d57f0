/* What networks, blurs and centre bias compute with, from a model's parameters as they are learned, and the gradients.

   The parameters of a model in their order: for each layer, the widest first, scale and shift of its normalised inputs,
   (inputs) each, matrix (outputs, inputs) and shift (outputs); the last row; the blur's sigma, in pixels of the map; the
   weight of the centre bias. */

#ifndef ENTREG_PARAMETERS_H
#define ENTREG_PARAMETERS_H

#include <math.h>
#include <stdlib.h>

#include "batch.h"

/* how many parameters a layer and a model have */
INLINE size_t layer_parameters(int inputs, int outputs) { return 2 * (size_t)inputs + (size_t)(inputs + 1) * outputs; }

static size_t model_parameters(int inputs)
{
    size_t numbers = layer_parameters(inputs, WIDE) + CHANNELS[LAYERS] + 2;
    for (int l = 0; l < LAYERS; l++)
        numbers += layer_parameters(CHANNELS[l], CHANNELS[l + 1]);
    return numbers;
}

/* conv(scale x + shift) + bias as matrix x + shift: a wide x is read once. row: numbers from one of its rows to the next */
static void merge(int inputs, int outputs, const float *of, float *matrix, size_t row, float *shift)
{
    const float *scale = of, *before = of + inputs, *weights = before + inputs;
    const float *after = weights + (size_t)inputs * outputs;
    for (int k = 0; k < outputs; k++, weights += inputs) {
        double total = after[k];
        for (int i = 0; i < inputs; i++) {
            matrix[k * row + i] = weights[i] * scale[i];
            total += (double)weights[i] * before[i];
        }
        shift[k] = (float)total;
    }
}

/* The gradients by a layer's parameters, in their order, from those by its merged matrix and shift. */
static void merge_backwards(int inputs, int outputs, const float *of, const double *by_matrix, size_t row,
                            const double *by_shift, float *to)
{
    const float *scale = of, *before = of + inputs, *weights = before + inputs;
    float *by_weights = to + 2 * inputs;
    for (int i = 0; i < inputs; i++) {
        double by_scale = 0, by_before = 0;
        for (int k = 0; k < outputs; k++) {
            double by = by_matrix[k * row + i], weight = weights[(size_t)k * inputs + i];
            by_scale += by * weight;
            by_before += by_shift[k] * weight;
            by_weights[(size_t)k * inputs + i] = (float)(by * scale[i] + by_shift[k] * before[i]);
        }
        to[i] = (float)by_scale;
        to[inputs + i] = (float)by_before;
    }
    for (int k = 0; k < outputs; k++)
        by_weights[(size_t)outputs * inputs + k] = (float)by_shift[k];
}

/* A Gaussian's weights, (2 radius + 1), which sum to 1. */
typedef struct {
    int radius;
    double *weights;
} Kernel;

/* Return the kernel that the caller frees, of radius 0 where sigma is not finite; no weights where there is no memory. */
static Kernel kernel_of(float sigma)
{
    double reach = isfinite(sigma) ? ceil(3 * fabs((double)sigma)) : 0, total = 0;
    if (reach > 1e8)
        return (Kernel){0, NULL};
    Kernel kernel = {(int)reach, malloc(sizeof(double) * (2 * (size_t)reach + 1))};
    if (kernel.weights == NULL)
        return kernel;
    for (int x = -kernel.radius; x <= kernel.radius; x++)
        total += kernel.weights[kernel.radius + x] = exp(-(double)x * x / (2 * (double)sigma * sigma));
    for (int i = 0; i <= 2 * kernel.radius; i++)
        kernel.weights[i] /= total;
    return kernel;
}

/* Return the cell of a map's row or column, or of the nearest one within the map. cells: (length) */
INLINE int32_t nearest_cell(const int32_t *cells, int length, int place)
{
    return cells[place < 0 ? 0 : place < length ? place : length - 1];
}

/* The blur of one axis: a row of `to`, each `row` numbers from the last, for each of `length` rows of the map.
   total: memory for as many numbers as there are cells */
static void blur_matrix(Kernel kernel, const int32_t *cells, int length, int count, float *to, size_t row, double *total)
{
    for (int y = 0; y < length; y++) {
        memset(total, 0, sizeof(double) * count);
        for (int x = -kernel.radius; x <= kernel.radius; x++)
            total[nearest_cell(cells, length, y + x)] += kernel.weights[kernel.radius + x];
        for (int i = 0; i < count; i++)
            to[y * row + i] = (float)total[i];
    }
}

/* Return the gradient by sigma from that by the blur of one axis, whose number for a row of the map and a cell lies at
   row * step + cell * cell_step. */
static double blur_backwards(Kernel kernel, float sigma, const int32_t *cells, int length, const double *by_matrix,
                             size_t step, size_t cell_step)
{
    double mean = 0, by_exponents = 0, all_exponents = 0;
    for (int x = -kernel.radius; x <= kernel.radius; x++) {
        double by = 0, weight = kernel.weights[kernel.radius + x], square = (double)x * x;
        for (int y = 0; y < length; y++)
            by += by_matrix[y * step + nearest_cell(cells, length, y + x) * cell_step];
        mean += weight * by;
        by_exponents += weight * by * square;
        all_exponents += weight * square;
    }
    return (by_exponents - mean * all_exponents) / ((double)sigma * sigma * sigma);
}

/* Write what all other functions read of the models that no other thread has begun. Returns 1 where there is no memory,
   else 0. */
int entreg_merge(const Batch *batch, int *next)
{
    const Map *map = &batch->map;
    for (int model; (model = begun(next)) < batch->models;) {
        Finalizer blurs = finalizer(batch, model);
        const float *learned = batch->learned + model * model_parameters(batch->inputs);
        float *parameters = batch->parameters + (size_t)model * PARAMETERS;
        merge(batch->inputs, WIDE, learned, batch->wide + (size_t)model * WIDE * batch->channels, batch->channels,
              parameters);
        learned += layer_parameters(batch->inputs, WIDE), parameters += FIRST;
        for (int l = 0; l < LAYERS; l++) {
            int inputs = CHANNELS[l], outputs = CHANNELS[l + 1];
            merge(inputs, outputs, learned, parameters, inputs, parameters + inputs * outputs);
            learned += layer_parameters(inputs, outputs), parameters += inputs * outputs + outputs;
        }
        memcpy(parameters, learned, sizeof(float) * CHANNELS[LAYERS]);
        learned += CHANNELS[LAYERS];
        Kernel kernel = kernel_of(learned[0]);
        double *total = malloc(sizeof(double) * (map->rows + map->columns));
        if (kernel.weights == NULL || total == NULL) {
            free(kernel.weights), free(total);
            return 1;
        }
        float *columns = (float *)blurs.column_blur, *transposed = (float *)blurs.column_blur_transposed;
        blur_matrix(kernel, map->row_cells, map->map_rows, map->rows, (float *)blurs.row_blur, map->rows, total);
        blur_matrix(kernel, map->column_cells, map->map_columns, map->columns, columns, map->wide_columns, total);
        for (int y = 0; y < map->map_columns; y++)
            for (int x = 0; x < map->columns; x++)
                transposed[x * map->wide_map_columns + y] = columns[y * map->wide_columns + x];
        free(kernel.weights), free(total);
        batch->weights[model] = learned[1];
    }
    return 0;
}

/* Write the sum of `images` rows, of which one begins `step` numbers behind the last, added row after row. */
static void add(int images, size_t numbers, size_t step, const float *terms, double *total)
{
    memset(total, 0, sizeof(double) * numbers);
    for (int image = 0; image < images; image++)
        for (size_t i = 0; i < numbers; i++)
            total[i] += (double)terms[image * step + i];
}

/* Write the gradients of such models, by_learned, from those of all images. Returns 1 where there is no memory, else 0. */
int entreg_gradients(const Batch *batch, int *next)
{
    const Map *map = &batch->map;
    size_t wide = WIDE * (size_t)batch->channels, models = batch->models, numbers = model_parameters(batch->inputs);
    double *by_wide = malloc(sizeof(double) * (wide + batch->others)), *by_others = by_wide + wide;
    if (by_wide == NULL)
        return 1;
    for (size_t model; (model = begun(next)) < models;) {
        const float *learned = batch->learned + model * numbers;
        const double *by = by_others + FIRST;
        float *to = batch->by_learned + model * numbers;
        add(batch->images, wide, models * wide, batch->by_wide + model * wide, by_wide);
        add(batch->images, batch->others, models * batch->others, batch->by_others + model * batch->others, by_others);
        merge_backwards(batch->inputs, WIDE, learned, by_wide, batch->channels, by_others, to);
        size_t done = layer_parameters(batch->inputs, WIDE);
        for (int l = 0; l < LAYERS; l++) {
            int inputs = CHANNELS[l], outputs = CHANNELS[l + 1];
            merge_backwards(inputs, outputs, learned + done, by, inputs, by + inputs * outputs, to + done);
            done += layer_parameters(inputs, outputs), by += inputs * outputs + outputs;
        }
        for (int i = 0; i < CHANNELS[LAYERS]; i++)
            to[done++] = (float)*by++;
        Kernel kernel = kernel_of(learned[done]);
        if (kernel.weights == NULL) {
            free(by_wide);
            return 1;
        }
        const double *by_columns = by + map->map_rows * map->wide_rows;
        double by_sigma = blur_backwards(kernel, learned[done], map->row_cells, map->map_rows, by, map->wide_rows, 1);
        by_sigma += blur_backwards(kernel, learned[done], map->column_cells, map->map_columns, by_columns, 1,
                                   map->wide_map_columns);
        free(kernel.weights);
        to[done] = (float)by_sigma;
        to[done + 1] = (float)by_columns[map->columns * map->wide_map_columns];
    }
    free(by_wide);
    return 0;
}

#endif
