/* The widest product of all models for one image, and its gradient. */

#ifndef ENTREG_WIDEST_PRODUCT_H
#define ENTREG_WIDEST_PRODUCT_H

#include "batch.h"

/* cells and channels of an image that all models read while they are in the cache; see `widest_product` and its gradient */
enum { CELLS = 48, PIECE = 512, GROUP = 32, STRIP = 64 };

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

#endif
