/* The densities of several models for the images of a batch, and their gradients: one image at a time, whose numbers
   stay in the cache of a core. `entreg/model/compiled_step.py` calls these functions in several threads, each
   of which computes images that no other one has begun.

   A model's bits depend neither on the other models nor on the other images. */

#include <stdlib.h>

#include "moments.h"
#include "parameters.h"
#include "widest_product.h"

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

/* What a thread works with: the numbers of one image and, but for the products, of one model.

   wide: see `order_wide`; products, by_products: (models, WIDE, width)
   saved, gradients, block, by_readout: see networks.h; map: see density.h
   log_density, by_density: (map_rows, map_columns) */
typedef struct {
    double *products;
    float *wide, *by_products, *saved, *gradients, *block, *by_readout, *map, *log_density, *by_density;
} Memory;

/* Return the memory of a thread, which begins with `products`, each array at a multiple of 64 bytes. */
static Memory memory_for(const Batch *batch)
{
    size_t width = batch->cells.width, rows = (size_t)batch->models * WIDE;
    const size_t lengths[] = {2 * rows * width,          rows * batch->channels, rows * width,
                              saved_numbers(batch),      2 * MOST * width,       MOST * BLOCK_ROW,
                              width,                     density_memory(&batch->map),
                              map_numbers(batch),        map_numbers(batch)};
    enum { ARRAYS = sizeof lengths / sizeof *lengths };
    size_t starts[ARRAYS + 1] = {0};
    for (int i = 0; i < ARRAYS; i++)
        starts[i + 1] = starts[i] + (lengths[i] + 15) / 16 * 16;
    float *all = aligned_alloc(64, sizeof(float) * starts[ARRAYS]);
    if (all == NULL)
        return (Memory){0};
    Memory memory = {(double *)all,   all + starts[1], all + starts[2], all + starts[3], all + starts[4],
                     all + starts[5], all + starts[6], all + starts[7], all + starts[8], all + starts[9]};
    memset(memory.by_readout, 0, sizeof(float) * width); /* its padding stays 0 */
    order_wide(batch, memory.wide);
    return memory;
}

/* Write what `networks` saves, and the log density of one image by one model, whose widest products are there. */
static void predict(const Batch *batch, int image, int model, const Memory *memory, float *saved, float *log_density)
{
    int width = batch->cells.width;
    Finalizer of = finalizer(batch, model);
    networks(&batch->cells, memory->products + (size_t)model * WIDE * width,
             batch->parameters + (size_t)model * PARAMETERS, saved, memory->block);
    density(&batch->map, &of, saved + (size_t)(SAVED_ROWS - 1) * width, center_bias(batch, image, model), log_density,
            memory->map);
}

/* Write the gradients of one image and one model to by_others and to the memory's by_products. */
static void differentiate(const Batch *batch, int image, int model, const Memory *memory, const float *saved,
                          const float *log_density, const float *by_density)
{
    const Map *map = &batch->map;
    int width = batch->cells.width;
    float *by_parameters = batch->by_others + ((size_t)image * batch->models + model) * batch->others;
    float *by_row_blur = by_parameters + PARAMETERS, *by_column_blur = by_row_blur + map->map_rows * map->wide_rows;
    Finalizer of = finalizer(batch, model);
    density_backwards(map, &of, saved + (size_t)(SAVED_ROWS - 1) * width, center_bias(batch, image, model), log_density,
                      by_density, memory->by_readout, by_row_blur, by_column_blur,
                      by_column_blur + map->columns * map->wide_map_columns, memory->map);
    networks_backwards(&batch->cells, batch->parameters + (size_t)model * PARAMETERS, saved, memory->by_readout,
                       by_parameters, memory->by_products + (size_t)model * WIDE * width, memory->gradients,
                       memory->block);
}

static float *by_wide(const Batch *batch, int image)
{
    return batch->by_wide + (size_t)image * batch->models * WIDE * batch->channels;
}

/* Do the work for images that no other thread has begun. Returns 1 where there is no memory, else 0. */
static int in_memory(const Batch *batch, int *next, void (*work)(const Batch *, int image, const Memory *))
{
    Memory memory = memory_for(batch);
    if (memory.products == NULL)
        return 1;
    for (int image; (image = begun(next)) < batch->images;)
        work(batch, image, &memory);
    free(memory.products);
    return 0;
}

/* Write saved and log_densities of an image. */
static void forward(const Batch *batch, int image, const Memory *memory)
{
    widest_product(batch, image, memory->wide, memory->products);
    for (int model = 0; model < batch->models; model++) {
        size_t number = (size_t)image * batch->models + model;
        float *saved = batch->saved == NULL ? memory->saved : batch->saved + number * saved_numbers(batch);
        predict(batch, image, model, memory, saved, batch->log_densities[model] + image * map_numbers(batch));
    }
}

/* Write the gradients of an image, from by_densities and what the forward pass wrote; see above. */
static void backward(const Batch *batch, int image, const Memory *memory)
{
    for (int model = 0; model < batch->models; model++) {
        size_t number = (size_t)image * batch->models + model, start = image * map_numbers(batch);
        differentiate(batch, image, model, memory, batch->saved + number * saved_numbers(batch),
                      batch->log_densities[model] + start, batch->by_densities[model] + start);
    }
    widest_product_backwards(batch, image, memory->by_products, by_wide(batch, image));
}

/* Return the NLL of an image by a model, whose log density is in the memory, and write its gradients to by_density. */
static double nll_of(const Batch *batch, int image, int model, const Memory *memory)
{
    float weight = batch->fixation_weights[(size_t)image * batch->models + model];
    double log_likelihood = 0;
    memset(memory->by_density, 0, sizeof(float) * map_numbers(batch));
    for (int i = batch->first_fixations[image]; i < batch->first_fixations[image + 1]; i++) {
        log_likelihood += (double)memory->log_density[batch->fixated[i]];
        memory->by_density[batch->fixated[i]] -= weight;
    }
    return -weight * log_likelihood;
}

/* The same of the entropy of the log density. */
static double entropy_of(const Batch *batch, int image, int model, const Memory *memory)
{
    (void)image, (void)model;
    return entropy(&batch->map, memory->log_density, memory->by_density, memory->map);
}

/* Write a function of each density of an image, and its gradients, while the image's numbers are in the cache. */
static void losses(const Batch *batch, int image, const Memory *memory,
                   double (*loss)(const Batch *, int image, int model, const Memory *))
{
    widest_product(batch, image, memory->wide, memory->products);
    for (int model = 0; model < batch->models; model++) {
        predict(batch, image, model, memory, memory->saved, memory->log_density);
        batch->losses[(size_t)image * batch->models + model] = (float)loss(batch, image, model, memory);
        differentiate(batch, image, model, memory, memory->saved, memory->log_density, memory->by_density);
    }
    widest_product_backwards(batch, image, memory->by_products, by_wide(batch, image));
}

static void nlls(const Batch *batch, int image, const Memory *memory) { losses(batch, image, memory, nll_of); }
static void entropies(const Batch *batch, int image, const Memory *memory) { losses(batch, image, memory, entropy_of); }

int entreg_forward(const Batch *batch, int *next) { return in_memory(batch, next, forward); }
int entreg_backward(const Batch *batch, int *next) { return in_memory(batch, next, backward); }
int entreg_nll(const Batch *batch, int *next) { return in_memory(batch, next, nlls); }
int entreg_entropy(const Batch *batch, int *next) { return in_memory(batch, next, entropies); }
