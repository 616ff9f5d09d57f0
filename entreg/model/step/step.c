/* The densities of several models for the images of a batch, and their gradients: one image at a time, whose numbers
   stay in the cache of a core. `entreg/model/compiled_step.py` calls these functions, with other images in each thread.

   A model's bits depend neither on the other models nor on the other images. */

#include <stdlib.h>

#include "density.h"
#include "moments.h"
#include "networks.h"

/* cells and channels of an image that all models read while they are in the cache; see `widest_product` and its gradient */
enum { CELLS = 48, PIECE = 512, GROUP = 32, STRIP = 2 * LANES };

/* channels `start` to `end` of the features, multiples of 16: the stored ones from `source` on or, where is_relu, their
   ReLU, see entreg/features/rectified.py */
typedef struct {
    int start, end, source, is_relu;
} Block;

/* Everything is float32 and contiguous where nothing else is said.

   type: of the features, FLOAT32 or FLOAT16
   features: (images) pointers to (cells, stored), of which (blocks) blocks make the channels; both are multiples of 16
   floors: (images) what 0 became in an image's features
   wide: (models, WIDE, channels); parameters: (models, PARAMETERS), see networks.h
   row_blurs, column_blurs, column_blurs_transposed, weights: those of all models, see density.h
   saved: (images, models, SAVED_ROWS * width + SAVED_STATISTICS), or NULL where no backward pass follows
   center_biases, log_densities, by_densities: (models) pointers to (images, map_rows, map_columns)
   by_wide: (images, models, WIDE, channels)
   by_others: (images, models, others), the gradients by parameters, row blur, column blur and weight of the centre bias

   of `entreg_nll` and `entreg_entropy`: losses: (images, models), the NLL or the entropy, nats
   of `entreg_nll` alone:
   first_fixations: (images + 1) where each image's fixations begin among all, in int32; fixated: the place of each in a map
   fixation_weights: (images, models), what a fixation on each image counts */
typedef struct {
    Cells cells;
    Map map;
    int type, channels, stored, blocks, models;
    size_t others;
    const Block *block;
    const void *const *features;
    const float *floors;
    const float *wide, *parameters, *row_blurs, *column_blurs, *column_blurs_transposed, *weights;
    const float *const *center_biases;
    float *saved;
    float *const *log_densities;
    const float *const *by_densities;
    float *by_wide, *by_others;
    const int32_t *first_fixations, *fixated;
    const float *fixation_weights;
    float *losses;
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

/* Write the matrices of the widest product as (models, channels / LANES, WIDE, LANES): what is read together lies together. */
static void order_wide(const Batch *batch, float *to)
{
    size_t channels = batch->channels;
    for (size_t model = 0; model < (size_t)batch->models; model++)
        for (size_t row = 0; row < WIDE; row++)
            for (size_t i = 0; i < channels; i += LANES)
                store(to + (model * channels + i) * WIDE + row * LANES, load(batch->wide + (model * WIDE + row) * channels + i));
}

/* Return where a block's channel lies among an image's features. */
INLINE const char *stored_channel(const Batch *batch, const char *features, const Block *block, int cell, int channel,
                                  int type)
{
    return features + ((size_t)cell * batch->stored + block->source + channel - block->start) * (type == FLOAT16 ? 2 : 4);
}

INLINE void product_of_block(const Batch *batch, int type, const char *features, Reading how, const Block *block, int cell,
                             const float *wide, double *products)
{
    int cells = batch->cells.cells, width = batch->cells.width;
    for (int channel = block->start; channel < block->end; channel += PIECE)
        for (int model = 0; model < batch->models; model++)
            dots_of(least(CELLS, cells - cell), WIDE, least(PIECE, block->end - channel),
                    stored_channel(batch, features, block, cell, channel, type), batch->stored, type, how,
                    wide + ((size_t)model * batch->channels + channel) * WIDE, LANES, WIDE,
                    products + (size_t)model * WIDE * width + cell, 1, width);
}

INLINE void product_of_type(const Batch *batch, int type, int image, const float *wide, double *products)
{
    const char *features = batch->features[image];
    for (int cell = 0; cell < batch->cells.cells; cell += CELLS)
        for (const Block *block = batch->block; block < batch->block + batch->blocks; block++) {
            if (block->is_relu)
                product_of_block(batch, type, features, (Reading){1, batch->floors[image]}, block, cell, wide, products);
            else
                product_of_block(batch, type, features, (Reading){0, 0}, block, cell, wide, products);
        }
}

/* products: (models, WIDE, width) float64 */
static void widest_product(const Batch *batch, int image, const float *wide, double *products)
{
    memset(products, 0, sizeof(double) * batch->models * WIDE * batch->cells.width);
    if (batch->type == FLOAT16)
        product_of_type(batch, FLOAT16, image, wide, products);
    else
        product_of_type(batch, FLOAT32, image, wide, products);
}

/* The same for a block and GROUP cells, converted strip by strip: once for all models, and with a ReLU computed. Rows of the
   features are often a power of 2 apart, see networks.h. */
INLINE void gradient_of_strips(const Batch *batch, int type, const char *features, Reading how, const Block *block, int cell,
                               const float *by_products, float *to)
{
    int count = least(GROUP, batch->cells.cells - cell), width = batch->cells.width, channels = batch->channels;
    float strip[GROUP * STRIP];
    for (int channel = block->start; channel < block->end; channel += STRIP) {
        int length = least(STRIP, block->end - channel);
        const char *from = stored_channel(batch, features, block, cell, channel, type);
        for (int row = 0; row < count; row++)
            for (int i = 0; i < length; i += LANES)
                store(strip + row * STRIP + i, read_as(from, (size_t)row * batch->stored + i, type, how));
        for (int model = 0; model < batch->models; model++)
            product(WIDE, length, count, by_products + (size_t)model * WIDE * width + cell, width, 1, strip, STRIP, FLOAT32,
                    to + (size_t)model * WIDE * channels + channel, channels, cell > 0);
    }
}

INLINE void gradient_of_type(const Batch *batch, int type, int image, const float *by_products, float *to)
{
    const char *features = batch->features[image];
    int cells = batch->cells.cells, width = batch->cells.width;
    for (int cell = 0; cell < cells; cell += GROUP)
        for (const Block *block = batch->block; block < batch->block + batch->blocks; block++) {
            if (block->is_relu)
                gradient_of_strips(batch, type, features, (Reading){1, batch->floors[image]}, block, cell, by_products, to);
            else if (batch->models > 1)
                gradient_of_strips(batch, type, features, (Reading){0, 0}, block, cell, by_products, to);
            else
                product(WIDE, block->end - block->start, least(GROUP, cells - cell), by_products + cell, width, 1,
                        stored_channel(batch, features, block, cell, block->start, type), batch->stored, type,
                        to + block->start, batch->channels, cell > 0);
        }
}

/* by_products: (models, WIDE, width); to: (models, WIDE, channels) */
static void widest_product_backwards(const Batch *batch, int image, const float *by_products, float *to)
{
    if (batch->type == FLOAT16)
        gradient_of_type(batch, FLOAT16, image, by_products, to);
    else
        gradient_of_type(batch, FLOAT32, image, by_products, to);
}

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

/* Do the work for the images `first` to `end`, one after the other. Returns 1 where there is no memory, else 0. */
static int in_memory(const Batch *batch, int first, int end, void (*work)(const Batch *, int image, const Memory *))
{
    Memory memory = memory_for(batch);
    if (memory.products == NULL)
        return 1;
    for (int image = first; image < end; image++)
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

int entreg_forward(const Batch *batch, int first, int end) { return in_memory(batch, first, end, forward); }
int entreg_backward(const Batch *batch, int first, int end) { return in_memory(batch, first, end, backward); }
int entreg_nll(const Batch *batch, int first, int end) { return in_memory(batch, first, end, nlls); }
int entreg_entropy(const Batch *batch, int first, int end) { return in_memory(batch, first, end, entropies); }

/* Add the terms of all images, (images, numbers), to `total`, one image after the other. */
void entreg_add(int images, size_t numbers, const float *terms, double *total)
{
    for (int image = 0; image < images; image++)
        for (size_t i = 0; i < numbers; i++)
            total[i] += (double)terms[image * numbers + i];
}
