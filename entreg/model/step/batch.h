/* What the compiled functions are called with, see entreg/model/compiled_batch.py. */

#ifndef ENTREG_BATCH_H
#define ENTREG_BATCH_H

#include "density.h"
#include "networks.h"

/* channels `start` to `end` of the features, multiples of 16: the stored ones from `source` on or, where is_relu, their
   ReLU, see entreg/features/rectified.py */
typedef struct {
    int start, end, source, is_relu;
} Block;

/* Everything is float32 and contiguous where nothing else is said.

   type: of the features, FLOAT32 or FLOAT16
   features: (images) pointers to (cells, stored), of which (blocks) blocks make the channels; both are multiples of 16
   floors: (images) what 0 became in an image's features
   learned: (models, numbers) the parameters as they are learned, see parameters.h, for `inputs` channels; by_learned: the
       gradients by them
   what `entreg_merge` writes: wide: (models, WIDE, channels); parameters: (models, PARAMETERS), see networks.h; row_blurs,
       column_blurs, column_blurs_transposed, weights: those of all models, see density.h
   saved: (images, models, SAVED_ROWS * width + SAVED_STATISTICS), or NULL where no backward pass follows
   center_biases: (models, images) pointers to (map_rows, map_columns)
   log_densities, by_densities: (models) pointers to (images, map_rows, map_columns)
   by_wide: (images, models, WIDE, channels)
   by_others: (images, models, others), the gradients by parameters, row blur, column blur and weight of the centre bias

   of `entreg_nll` and `entreg_entropy`: losses: (images, models), the NLL or the entropy, nats
   of `entreg_nll` alone:
   first_fixations: (images + 1) where each image's fixations begin among all, in int32; fixated: the place of each in a map
   fixation_weights: (images, models), what a fixation on each image counts */
typedef struct {
    Cells cells;
    Map map;
    int type, inputs, channels, stored, blocks, images, models;
    size_t others;
    const Block *block;
    const void *const *features;
    const float *floors, *learned;
    float *by_learned, *wide, *parameters, *row_blurs, *column_blurs, *column_blurs_transposed, *weights;
    const float *const *center_biases;
    float *saved;
    float *const *log_densities;
    const float *const *by_densities;
    float *by_wide, *by_others;
    const int32_t *first_fixations, *fixated;
    const float *fixation_weights;
    float *losses;
} Batch;

/* Return the next image or model that no thread has begun. Threads share the number `next`. */
INLINE int begun(int *next) { return __atomic_fetch_add(next, 1, __ATOMIC_RELAXED); }

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
    return batch->center_biases[(size_t)model * batch->images + image];
}

#endif
