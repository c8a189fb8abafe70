/* E1-E6 by hand: value and gradient in one pass over x, the output array given by the caller. */
#include <math.h>
#include <stddef.h>

#define STRIKE 100.0
#define YEARS 1.0
#define RATE 0.05
#define SIGMA 0.2

/* The sum is kept in double; a block's sum in the type itself, so that the loop stays vectorised
   in that type. */
#define BLOCK 1024

#define DRIVE(name, T, body)                                                                      \
    double name(const T *restrict x, T *restrict g, ptrdiff_t n)                                  \
    {                                                                                             \
        double total = 0.0;                                                                       \
        _Pragma("omp parallel for schedule(static) reduction(+ : total)")                         \
        for (ptrdiff_t start = 0; start < n; start += BLOCK) {                                    \
            ptrdiff_t end = start + BLOCK < n ? start + BLOCK : n;                                \
            T sum = 0;                                                                            \
            for (ptrdiff_t i = start; i < end; i++) {                                             \
                T value, gradient, v = x[i];                                                      \
                body(T) sum += value;                                                             \
                g[i] = gradient;                                                                  \
            }                                                                                     \
            total += sum;                                                                         \
        }                                                                                         \
        return total;                                                                             \
    }

#define EXP(T) _Generic((T)0, float: expf, double: exp)
#define LOG(T) _Generic((T)0, float: logf, double: log)
#define LOG1P(T) _Generic((T)0, float: log1pf, double: log1p)
#define TANH(T) _Generic((T)0, float: tanhf, double: tanh)
#define ERF(T) _Generic((T)0, float: erff, double: erf)

#define SIGMOID(T)                                                                                \
    value = 1 / (1 + EXP(T)(-v));                                                                 \
    gradient = value * (1 - value);

/* dC/dS = Phi(d1). */
#define BLACK_SCHOLES(T)                                                                          \
    const T deviation = (T)(SIGMA * sqrt(YEARS)), half = (T)0.70710678118654752440;               \
    const T discounted = (T)(STRIKE * exp(-RATE * YEARS));                                        \
    T d1 = (LOG(T)(v / (T)STRIKE) + (T)((RATE + SIGMA * SIGMA / 2) * YEARS)) / deviation;         \
    T d2 = d1 - deviation;                                                                        \
    gradient = (T)0.5 * (1 + ERF(T)(d1 * half));                                                  \
    value = v * gradient - discounted * ((T)0.5 * (1 + ERF(T)(d2 * half)));

#define TANH_SOFTPLUS(T)                                                                          \
    T e = EXP(T)(v), t = TANH(T)(v), p = LOG1P(T)(e);                                             \
    value = t * p;                                                                                \
    gradient = (1 - t * t) * p + t * (e / (1 + e));

DRIVE(sigmoid_float32, float, SIGMOID)
DRIVE(sigmoid_float64, double, SIGMOID)
DRIVE(black_scholes_float32, float, BLACK_SCHOLES)
DRIVE(black_scholes_float64, double, BLACK_SCHOLES)
DRIVE(tanh_softplus_float32, float, TANH_SOFTPLUS)
DRIVE(tanh_softplus_float64, double, TANH_SOFTPLUS)
