/* Two products of small matrices. A tile of sums stays in registers, and each sum has the same terms in the same order
   wherever its tile lies, so its bits do not depend on what else is computed. */

#ifndef ENTREG_PRODUCTS_H
#define ENTREG_PRODUCTS_H

#include "vectors.h"

enum { FLOAT32, FLOAT16 }; /* types of a factor */

/* Numbers as they are read: where `is_relu`, the greater of each and of the floor. */
typedef struct {
    int is_relu;
    float floor;
} Reading;

/* sums of a tile, as many as stay in the registers: PRODUCT_ROWS * 2 and DOT_ROWS * DOT_COLUMNS vectors, or RELU_ROWS *
   DOT_COLUMNS, since a ReLU's floor needs a register as well */
#if LANES == 16
enum { PRODUCT_ROWS = 8, DOT_ROWS = 3, RELU_ROWS = 3, DOT_COLUMNS = 8 };
#else
enum { PRODUCT_ROWS = 4, DOT_ROWS = 3, RELU_ROWS = 2, DOT_COLUMNS = 4 };
#endif

INLINE Vector load_as(const void *from, size_t at, int type)
{
    return type == FLOAT16 ? load_half((const uint16_t *)from + at) : load((const float *)from + at);
}

INLINE Vector read_as(const void *from, size_t at, int type, Reading how)
{
    Vector x = load_as(from, at, type);
    return how.is_relu ? greater(x, how.floor) : x;
}

/* ahead: whether to ask the memory for the next k rows of b, which are features, once for all tiles that read them */
INLINE void product_tile(int rows, int vectors, int k, const float *a, size_t a_row, size_t a_step, const void *b,
                         size_t b_row, int type, float *c, size_t c_row, int add, int ahead)
{
    Vector s[PRODUCT_ROWS][2];
    UNROLLED
    for (int i = 0; i < rows; i++)
        UNROLLED
        for (int v = 0; v < vectors; v++)
            s[i][v] = (Vector){0};
    for (int t = 0; t < k; t++) {
        Vector factors[2];
        UNROLLED
        for (int v = 0; v < vectors; v++)
            factors[v] = load_as(b, t * b_row + v * LANES, type);
        if (ahead)
            __builtin_prefetch((const uint16_t *)b + (t + k) * b_row);
        UNROLLED
        for (int i = 0; i < rows; i++) {
            Vector x = all(a[i * a_row + t * a_step]);
            IN_REGISTER(x);
            UNROLLED
            for (int v = 0; v < vectors; v++)
                s[i][v] += x * factors[v];
        }
    }
    UNROLLED
    for (int i = 0; i < rows; i++)
        UNROLLED
        for (int v = 0; v < vectors; v++) {
            float *to = c + i * c_row + v * LANES;
            store(to, add ? load(to) + s[i][v] : s[i][v]);
        }
}

INLINE void product_columns(int vectors, int m, int k, const float *a, size_t a_row, size_t a_step, const void *b,
                            size_t b_row, int type, float *c, size_t c_row, int add)
{
    for (int i = 0, rows; i < m; i += rows) {
        const float *from = a + i * a_row;
        rows = i + PRODUCT_ROWS <= m ? PRODUCT_ROWS : 1;
        if (type == FLOAT16 && i == 0 && rows > 1)
            product_tile(PRODUCT_ROWS, vectors, k, from, a_row, a_step, b, b_row, type, c, c_row, add, 1);
        else if (rows > 1)
            product_tile(PRODUCT_ROWS, vectors, k, from, a_row, a_step, b, b_row, type, c + i * c_row, c_row, add, 0);
        else
            product_tile(1, vectors, k, from, a_row, a_step, b, b_row, type, c + i * c_row, c_row, add, 0);
    }
}

/* c[i, j] = sum over t of a[i, t] b[t, j], added to c where `add`: (m, n), n a multiple of 16.

   a_row, a_step, b_row, c_row: numbers from one row (i of a, t of b, i of c) or step (t of a) to the next
   type: that of b */
INLINE void product(int m, int n, int k, const float *a, size_t a_row, size_t a_step, const void *b, size_t b_row,
                    int type, float *c, size_t c_row, int add)
{
    size_t bytes = type == FLOAT16 ? sizeof(uint16_t) : sizeof(float);
    int j = 0;
    for (; j + 2 * LANES <= n; j += 2 * LANES)
        product_columns(2, m, k, a, a_row, a_step, (const char *)b + j * bytes, b_row, type, c + j, c_row, add);
    for (; j < n; j += LANES)
        product_columns(1, m, k, a, a_row, a_step, (const char *)b + j * bytes, b_row, type, c + j, c_row, add);
}

/* ahead: whether to ask the memory for the rows of a behind the next tile's */
INLINE void dots_tile(int rows, int columns, int k, const void *a, size_t a_row, int type, Reading how, const float *b,
                      size_t b_row, size_t b_step, double *c, size_t c_row, size_t c_column, int ahead)
{
    Vector s[DOT_ROWS][DOT_COLUMNS];
    UNROLLED
    for (int i = 0; i < rows; i++)
        UNROLLED
        for (int j = 0; j < columns; j++)
            s[i][j] = (Vector){0};
    for (int t = 0; t < k; t += LANES) {
        Vector x[DOT_ROWS];
        UNROLLED
        for (int i = 0; i < rows; i++) {
            x[i] = read_as(a, i * a_row + t, type, how);
            if (ahead)
                __builtin_prefetch((const uint16_t *)a + (i + 2 * rows) * a_row + t);
        }
        UNROLLED
        for (int j = 0; j < columns; j++) {
            Vector factor = load(b + j * b_row + t * b_step);
            IN_REGISTER(factor);
            UNROLLED
            for (int i = 0; i < rows; i++)
                s[i][j] += x[i] * factor;
        }
    }
    for (int i = 0; i < rows; i++) {
        float total[DOT_COLUMNS];
        for (int j = 0; j + 4 <= columns; j += 4)
            sums(s[i] + j, total + j);
        for (int j = 0; j < columns; j++)
            c[i * c_row + j * c_column] += columns > 1 ? (double)total[j] : sum(s[i][j]);
    }
}

/* c[i, j] += sum over t of a[i, t] b[j, t]: (m, n), k a multiple of 16; see `product`. type, how: of a
   b_step: numbers from one vector of b to the next, by LANES: 1 where the rows of b are contiguous */
INLINE void dots_of(int m, int n, int k, const void *a, size_t a_row, int type, Reading how, const float *b, size_t b_row,
                    size_t b_step, double *c, size_t c_row, size_t c_column)
{
    size_t bytes = type == FLOAT16 ? sizeof(uint16_t) : sizeof(float);
    const int most = how.is_relu ? RELU_ROWS : DOT_ROWS;
    for (int i = 0, rows; i < m; i += rows) {
        const void *from = (const char *)a + i * a_row * bytes;
        rows = i + most <= m ? most : 1;
        int j = 0;
        for (; j + DOT_COLUMNS <= n; j += DOT_COLUMNS) {
            double *to = c + i * c_row + j * c_column;
            const float *columns = b + j * b_row;
            if (type == FLOAT16 && !how.is_relu && j == 0 && rows > 1)
                dots_tile(most, DOT_COLUMNS, k, from, a_row, type, how, columns, b_row, b_step, to, c_row, c_column, 1);
            else if (rows > 1)
                dots_tile(most, DOT_COLUMNS, k, from, a_row, type, how, columns, b_row, b_step, to, c_row, c_column, 0);
            else
                dots_tile(1, DOT_COLUMNS, k, from, a_row, type, how, columns, b_row, b_step, to, c_row, c_column, 0);
        }
        for (; j < n; j++)
            for (int r = 0; r < rows; r++)
                dots_tile(1, 1, k, (const char *)from + r * a_row * bytes, a_row, type, how, b + j * b_row, b_row, b_step,
                          c + (i + r) * c_row + j * c_column, c_row, c_column, 0);
    }
}

INLINE void dots(int m, int n, int k, const void *a, size_t a_row, int type, const float *b, size_t b_row, size_t b_step,
                 double *c, size_t c_row, size_t c_column)
{
    dots_of(m, n, k, a, a_row, type, (Reading){0, 0}, b, b_row, b_step, c, c_row, c_column);
}

#endif
