/* The densities of several models for the images of a batch, and their gradients: one image at a time, whose numbers
   stay in the cache of a core. `entreg/model/compiled_step.py` calls these functions, with other images in each thread.

   A model's bits depend neither on the other models nor on the other images. */

#include <stdlib.h>

#include "density.h"
#include "networks.h"

enum { PIECE = 512, GROUP = 16 }; /* channels and cells of an image that all models read while they are in the cache */

/* Everything is float32 and contiguous where nothing else is said.

   type: of the features, FLOAT32 or FLOAT16
   features: (images) pointers to (cells, channels), channels a multiple of 16
   wide: (models, WIDE, channels); parameters: (models, PARAMETERS), see networks.h
   row_blurs, column_blurs, column_blurs_transposed, weights: those of all models, see density.h
   saved: (images, models, SAVED_ROWS * width + SAVED_STATISTICS), or NULL where no backward pass follows
   center_biases, log_densities, by_densities: (models) pointers to (images, map_rows, map_columns)
   by_wide: (images, models, WIDE, channels)
   by_others: (images, models, others), the gradients by parameters, row blur, column blur and weight of the centre bias */
typedef struct {
    Cells cells;
    Map map;
    int type, channels, models;
    size_t others;
    const void *const *features;
    const float *wide, *parameters, *row_blurs, *column_blurs, *column_blurs_transposed, *weights;
    const float *const *center_biases;
    float *saved;
    float *const *log_densities;
    const float *const *by_densities;
    float *by_wide, *by_others;
} Batch;

#ifndef SOURCES
#define SOURCES "unknown"
#endif

/* the version of this file's functions, the digest of all sources, and the compiler that made them */
const char *entreg_version(void) { return VERSION; }
const char *entreg_sources(void) { return SOURCES; }
#ifdef __clang__
const char *entreg_compiler(void) { return __VERSION__; }
#else
const char *entreg_compiler(void) { return "GCC " __VERSION__; }
#endif

static size_t saved_numbers(const Batch *batch)
{
    return (size_t)SAVED_ROWS * batch->cells.width + SAVED_STATISTICS;
}

static size_t map_numbers(const Batch *batch) { return (size_t)batch->map.map_rows * batch->map.map_columns; }

static Finalizer finalizer(const Batch *batch, int model)
{
    const Map *map = &batch->map;
    return (Finalizer){
        batch->row_blurs + (size_t)model * map->map_rows * map->rows,
        batch->column_blurs + (size_t)model * map->map_columns * map->wide_columns,
        batch->column_blurs_transposed + (size_t)model * map->columns * map->wide_map_columns,
        batch->weights[model],
    };
}

static const float *center_bias(const Batch *batch, int image, int model)
{
    return batch->center_biases[model] + image * map_numbers(batch);
}

INLINE void product_of_type(const Batch *batch, int type, const char *features, double *products)
{
    int channels = batch->channels;
    size_t bytes = type == FLOAT16 ? 2 : 4;
    for (int channel = 0; channel < channels; channel += PIECE)
        dots(batch->cells.cells, batch->models * WIDE, least(PIECE, channels - channel), features + channel * bytes,
             channels, type, batch->wide + channel, channels, products, 1, batch->cells.width);
}

/* products: (models, WIDE, width) float64 */
static void widest_product(const Batch *batch, int image, double *products)
{
    memset(products, 0, sizeof(double) * batch->models * WIDE * batch->cells.width);
    if (batch->type == FLOAT16)
        product_of_type(batch, FLOAT16, batch->features[image], products);
    else
        product_of_type(batch, FLOAT32, batch->features[image], products);
}

INLINE void gradient_of_type(const Batch *batch, int type, const char *features, const float *by_products, float *to)
{
    int cells = batch->cells.cells, channels = batch->channels;
    size_t bytes = type == FLOAT16 ? 2 : 4;
    for (int cell = 0; cell < cells; cell += GROUP)
        product(batch->models * WIDE, channels, least(GROUP, cells - cell), by_products + cell, batch->cells.width, 1,
                features + cell * bytes * channels, channels, type, to, channels, cell > 0);
}

/* by_products: (models, WIDE, width); to: (models, WIDE, channels) */
static void widest_product_backwards(const Batch *batch, int image, const float *by_products, float *to)
{
    if (batch->type == FLOAT16)
        gradient_of_type(batch, FLOAT16, batch->features[image], by_products, to);
    else
        gradient_of_type(batch, FLOAT32, batch->features[image], by_products, to);
}

/* Memory for one image, aligned to cache lines: its widest products, then what networks and densities need. */
static double *memory_for(const Batch *batch)
{
    size_t width = batch->cells.width, products = sizeof(double) * batch->models * WIDE * width;
    size_t others = 2 * MOST * width + MOST * BLOCK_ROW + width + saved_numbers(batch) + density_memory(&batch->map);
    return aligned_alloc(64, (products + sizeof(float) * others + 63) / 64 * 64);
}

/* Write saved and log_densities of the images `first` to `end`. Returns 1 where there is no memory, else 0. */
int entreg_forward(const Batch *batch, int first, int end)
{
    double *products = memory_for(batch);
    if (products == NULL)
        return 1;
    int width = batch->cells.width;
    float *block = (float *)(products + (size_t)batch->models * WIDE * width), *own = block + MOST * BLOCK_ROW;
    float *memory = own + saved_numbers(batch);
    for (int image = first; image < end; image++) {
        widest_product(batch, image, products);
        for (int model = 0; model < batch->models; model++) {
            size_t number = (size_t)image * batch->models + model;
            float *saved = batch->saved == NULL ? own : batch->saved + number * saved_numbers(batch);
            Finalizer of = finalizer(batch, model);
            networks(&batch->cells, products + (size_t)model * WIDE * width,
                     batch->parameters + (size_t)model * PARAMETERS, saved, block);
            density(&batch->map, &of, saved + (size_t)(SAVED_ROWS - 1) * width, center_bias(batch, image, model),
                    batch->log_densities[model] + image * map_numbers(batch), memory);
        }
    }
    free(products);
    return 0;
}

/* Write the gradients of the images `first` to `end`, from by_densities and what the forward pass wrote; see above. */
int entreg_backward(const Batch *batch, int first, int end)
{
    double *start = memory_for(batch);
    if (start == NULL)
        return 1;
    const Map *map = &batch->map;
    int width = batch->cells.width;
    float *by_products = (float *)start, *gradients = (float *)(start + (size_t)batch->models * WIDE * width);
    float *block = gradients + (size_t)2 * MOST * width, *by_readout = block + MOST * BLOCK_ROW, *memory = by_readout + width;
    memset(by_readout, 0, sizeof(float) * width);
    for (int image = first; image < end; image++) {
        for (int model = 0; model < batch->models; model++) {
            size_t number = (size_t)image * batch->models + model;
            const float *saved = batch->saved + number * saved_numbers(batch);
            float *by_parameters = batch->by_others + number * batch->others, *by_row_blur = by_parameters + PARAMETERS;
            float *by_column_blur = by_row_blur + map->map_rows * map->wide_rows;
            Finalizer of = finalizer(batch, model);
            density_backwards(map, &of, saved + (size_t)(SAVED_ROWS - 1) * width, center_bias(batch, image, model),
                              batch->log_densities[model] + image * map_numbers(batch),
                              batch->by_densities[model] + image * map_numbers(batch), by_readout, by_row_blur,
                              by_column_blur, by_column_blur + map->columns * map->wide_map_columns, memory);
            networks_backwards(&batch->cells, batch->parameters + (size_t)model * PARAMETERS, saved, by_readout,
                               by_parameters, by_products + (size_t)model * WIDE * width, gradients, block);
        }
        widest_product_backwards(batch, image, by_products,
                                 batch->by_wide + (size_t)image * batch->models * WIDE * batch->channels);
    }
    free(start);
    return 0;
}

/* Add the terms of all images, (images, numbers), to `total`, one image after the other. */
void entreg_add(int images, size_t numbers, const float *terms, double *total)
{
    for (int image = 0; image < images; image++)
        for (size_t i = 0; i < numbers; i++)
            total[i] += (double)terms[image * numbers + i];
}
