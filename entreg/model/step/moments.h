/* The logarithm of a sum of exponentials over the pixels of a map, with the moments of the two maps that it depends on. */

#ifndef ENTREG_MOMENTS_H
#define ENTREG_MOMENTS_H

#include <math.h>

#include "vectors.h"

/* weighted sums over pixels: of 1, b, c, b b, b c, c c; and vectors that are summed in float32 before float64 takes over */
enum { MOMENTS = 6, SUMMED = 32 };

typedef struct {
    Vector z, b, c;
} Pixels;

/* Return LANES pixels from `at` on, z = counts + scale b + weight c; those from `end` on weigh nothing. */
INLINE Pixels pixels(const float *counts, const float *b, const float *c, float scale, float weight, int at, int end)
{
    Pixels p;
    if (at + LANES <= end) {
        p.b = load(b + at), p.c = load(c + at), p.z = load(counts + at);
    } else {
        p.b = p.c = (Vector){0}, p.z = all(-INFINITY);
        memcpy(&p.b, b + at, sizeof(float) * (end - at));
        memcpy(&p.c, c + at, sizeof(float) * (end - at));
        memcpy(&p.z, counts + at, sizeof(float) * (end - at));
    }
    p.z += scale * p.b + weight * p.c;
    return p;
}

INLINE void add_moments(Pixels p, float greatest, Vector *sums)
{
    Vector share = exponential(p.z - greatest), of_b = share * p.b, of_c = share * p.c;
    sums[0] += share;
    sums[1] += of_b;
    sums[2] += of_c;
    sums[3] += of_b * p.b;
    sums[4] += of_b * p.c;
    sums[5] += of_c * p.c;
}

/* to: log sum exp(z), then the means of b, c, b b, b c, c c under the density that is proportional to exp(z) */
static void moments_of_one(int n, const float *counts, const float *b, const float *c, float scale, float weight, double *to)
{
    Vector most = all(-INFINITY);
    for (int i = 0; i < n; i += LANES) {
        Vector z = pixels(counts, b, c, scale, weight, i, n).z;
        most = choose(z > most, z, most);
    }
    float greatest = most[0];
    for (int lane = 1; lane < LANES; lane++)
        greatest = most[lane] > greatest ? most[lane] : greatest;
    double totals[MOMENTS] = {0};
    for (int start = 0; start < n; start += SUMMED * LANES) {
        int end = start + SUMMED * LANES < n ? start + SUMMED * LANES : n;
        Vector sums[MOMENTS] = {{0}};
        for (int i = start; i < end; i += LANES)
            add_moments(pixels(counts, b, c, scale, weight, i, end), greatest, sums);
        for (int k = 0; k < MOMENTS; k++)
            totals[k] += sum(sums[k]);
    }
    to[0] = greatest + log(totals[0]);
    for (int k = 1; k < MOMENTS; k++)
        to[k] = totals[k] / totals[0];
}

/* Write the moments of some images, (count, MOMENTS). counts: (n); b, c: (images, n), of which `numbers` are computed */
void entreg_moments(int count, const int64_t *numbers, int n, const float *counts, const float *b, const float *c,
                    float scale, float weight, double *to)
{
    for (int i = 0; i < count; i++)
        moments_of_one(n, counts, b + numbers[i] * n, c + numbers[i] * n, scale, weight, to + (size_t)i * MOMENTS);
}

#endif
