/* Blur, centre bias and normalisation of one image and one model, forwards and backwards.

   The blurred map is A R B^T, where R is the readout and A and B resize and blur along rows and columns. */

#ifndef ENTREG_DENSITY_H
#define ENTREG_DENSITY_H

#include <math.h>

#include "products.h"

/* rows, columns: of cells; map_rows, map_columns: of the map; wide_*: the next multiples of 16
   row_pixels: (map_rows), column_pixels: (wide_map_columns), how many pixels each row and column of the map covers; the
       padding has 0
   row_cells: (map_rows), column_cells: (map_columns), the row and column of cells that each reads */
typedef struct {
    int rows, columns, wide_rows, wide_columns, map_rows, map_columns, wide_map_columns;
    const float *row_pixels, *column_pixels;
    const int32_t *row_cells, *column_cells;
} Map;

/* row_blur: (map_rows, rows); column_blur: (map_columns, wide_columns) and transposed: (columns, wide_map_columns) */
typedef struct {
    const float *row_blur, *column_blur, *column_blur_transposed;
    float center_bias_weight;
} Finalizer;

/* how many numbers of memory the functions below need */
INLINE size_t density_memory(const Map *map)
{
    return (size_t)map->rows * map->wide_columns + (size_t)map->columns * map->wide_rows +
           2 * (size_t)map->map_rows * map->wide_columns + (size_t)(map->map_rows + 1) * map->wide_map_columns;
}

/* Copy `length` numbers and fill the row up with zeros. */
INLINE void padded(float *to, const float *from, int length, int width)
{
    memcpy(to, from, sizeof(float) * length);
    memset(to + length, 0, sizeof(float) * (width - length));
}

/* Write the readout (rows * columns) as rows of wide_columns numbers and, blurred along rows, as map_rows of them. */
INLINE void blur_rows(const Map *map, const Finalizer *model, const float *readout, float *cells, float *blurred)
{
    for (int y = 0; y < map->rows; y++)
        padded(cells + y * map->wide_columns, readout + y * map->columns, map->columns, map->wide_columns);
    product(map->map_rows, map->wide_columns, map->rows, model->row_blur, map->rows, 1, cells, map->wide_columns,
            FLOAT32, blurred, map->wide_columns, 0);
}

/* The log density, (map_rows, map_columns) nats, from the readout and the centre bias, of the same shape. */
static void density(const Map *map, const Finalizer *model, const float *readout, const float *center_bias,
                    float *log_density, float *memory)
{
    int width = map->wide_map_columns;
    float *cells = memory, *blurred = cells + map->rows * map->wide_columns;
    float *z = blurred + map->map_rows * map->wide_columns;
    blur_rows(map, model, readout, cells, blurred);
    product(map->map_rows, width, map->columns, blurred, map->wide_columns, 1, model->column_blur_transposed, width,
            FLOAT32, z, width, 0);
    float greatest = -INFINITY;
    for (int y = 0; y < map->map_rows; y++) {
        float *row = z + y * width;
        const float *bias = center_bias + y * map->map_columns;
        for (int x = 0; x < map->map_columns; x++)
            row[x] += model->center_bias_weight * bias[x];
        for (int x = map->map_columns; x < width; x++)
            row[x] = row[0]; /* covers no pixel */
        Vector most = load(row);
        for (int x = LANES; x < width; x += LANES) {
            Vector next = load(row + x);
            most = choose(next > most, next, most);
        }
        for (int i = 0; i < LANES; i++)
            greatest = most[i] > greatest ? most[i] : greatest;
    }
    double total = 0;
    for (int y = 0; y < map->map_rows; y++) {
        Vector s = {0};
        for (int x = 0; x < width; x += LANES)
            s += exponential(load(z + y * width + x) - greatest) * load(map->column_pixels + x);
        total += sum(s) * map->row_pixels[y];
    }
    float log_total = (float)(greatest + log(total));
    for (int y = 0; y < map->map_rows; y++)
        for (int x = 0; x < map->map_columns; x++)
            log_density[y * map->map_columns + x] = z[y * width + x] - log_total;
}

/* Return the entropy H of a log density, nats, and write gradients by it: -n p (log p + H) for n pixels of density p.

   They differ from the derivatives -n p (log p + 1) by a multiple of the density, which normalisation takes away, and
   leave less to cancel: they sum to 0.
   log_density, by_density: (map_rows, map_columns); line: wide_map_columns numbers of memory */
static double entropy(const Map *map, const float *log_density, float *by_density, float *line)
{
    double total = 0;
    for (int y = 0; y < map->map_rows; y++) {
        const float *row = log_density + y * map->map_columns;
        Vector s = {0};
        padded(line, row, map->map_columns, map->wide_map_columns);
        for (int x = 0; x < map->wide_map_columns; x += LANES) {
            Vector log_p = load(line + x), mass = exponential(log_p) * load(map->column_pixels + x) * map->row_pixels[y];
            /* below -87 a density is nothing, and its logarithm may be infinite */
            s -= mass * choose(log_p < -87.0f, all(-87.0f), log_p);
            store(line + x, mass);
        }
        total += sum(s);
        memcpy(by_density + y * map->map_columns, line, sizeof(float) * map->map_columns);
    }
    for (size_t i = 0; i < (size_t)map->map_rows * map->map_columns; i++) {
        float log_p = log_density[i] < -87.0f ? -87.0f : log_density[i];
        by_density[i] *= -(float)(log_p + total);
    }
    return total;
}

/* Gradients by the readout, (rows * columns), by the blurs, and by the centre bias' weight, from those by the log density.

   log_density, by_density: (map_rows, map_columns)
   by_row_blur: (map_rows, wide_rows); by_column_blur: (columns, wide_map_columns), transposed */
static void density_backwards(const Map *map, const Finalizer *model, const float *readout, const float *center_bias,
                              const float *log_density, const float *by_density, float *by_readout, float *by_row_blur,
                              float *by_column_blur, float *by_weight, float *memory)
{
    int width = map->wide_map_columns, wide = map->wide_columns;
    float *cells = memory, *transposed = cells + map->rows * wide, *blurred = transposed + map->columns * map->wide_rows;
    float *by_blurred = blurred + map->map_rows * wide, *by_map = by_blurred + map->map_rows * wide;
    float *line = by_map + map->map_rows * width;
    blur_rows(map, model, readout, cells, blurred);
    double total = 0, weight = 0;
    for (int y = 0; y < map->map_rows; y++) {
        Vector s = {0};
        padded(by_map + y * width, by_density + y * map->map_columns, map->map_columns, width);
        for (int x = 0; x < width; x += LANES)
            s += load(by_map + y * width + x);
        total += sum(s);
    }
    for (int y = 0; y < map->map_rows; y++) {
        float *row = by_map + y * width, of_density = -(float)total * map->row_pixels[y];
        padded(line, log_density + y * map->map_columns, map->map_columns, width);
        for (int x = 0; x < width; x += LANES)
            store(row + x, load(row + x) + exponential(load(line + x)) * load(map->column_pixels + x) * of_density);
        padded(line, center_bias + y * map->map_columns, map->map_columns, width);
        Vector s = {0};
        for (int x = 0; x < width; x += LANES)
            s += load(row + x) * load(line + x);
        weight += sum(s);
    }
    *by_weight = (float)weight;
    product(map->map_rows, wide, map->map_columns, by_map, width, 1, model->column_blur, wide, FLOAT32, by_blurred,
            wide, 0);
    product(map->columns, width, map->map_rows, blurred, 1, wide, by_map, width, FLOAT32, by_column_blur, width, 0);
    memset(transposed, 0, sizeof(float) * map->columns * map->wide_rows);
    for (int y = 0; y < map->rows; y++)
        for (int x = 0; x < map->columns; x++)
            transposed[x * map->wide_rows + y] = cells[y * wide + x];
    product(map->map_rows, map->wide_rows, map->columns, by_blurred, wide, 1, transposed, map->wide_rows, FLOAT32,
            by_row_blur, map->wide_rows, 0);
    /* no longer needed: the cells become their gradients */
    product(map->rows, wide, map->map_rows, model->row_blur, 1, map->rows, by_blurred, wide, FLOAT32, cells, wide, 0);
    for (int y = 0; y < map->rows; y++)
        memcpy(by_readout + y * map->columns, cells + y * wide, sizeof(float) * map->columns);
}

#endif
