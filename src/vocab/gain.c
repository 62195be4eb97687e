/* With C = sum N_i ln N_i and N = sum N_i, the text costs N ln N - C nats and a merge of n occurrences of k units changes N to
   N - (k - 1) n and N_i to N_i - m_i n, and adds n ln n. Written with log1p, so that rare merges in large texts lose no digits. */
#include <math.h>
#include <wok/words.h>

/* x ln(1 - y / x), 0 where nothing is left. */
static double rest(double whole, double taken) {
  double left = whole - taken;
  return left > 0 ? left * log1p(-taken / whole) : 0;
}

double wok_merge_gain(const int64_t *counts, const int *times, int k, int64_t joint, int64_t total) {
  if (joint <= 0 || total <= 0) return 0;
  double n = (double)joint, N = (double)total, save = n * log(n / N);
  int units = 0;
  for (int i = 0; i < k; i++) {
    int m = times ? times[i] : 1;
    double c = (double)counts[i];
    units += m;
    save += rest(c, m * n) - m * n * log(c / N);
  }
  return (save - rest(N, (units - 1) * n)) / N;
}

double wok_merge_gain_approx(const int64_t *counts, const int *times, int k, int64_t joint, int64_t total) {
  if (joint <= 0 || total <= 0) return 0;
  double n = (double)joint, N = (double)total, pmi = log(n / N);
  for (int i = 0; i < k; i++) pmi -= (times ? times[i] : 1) * log((double)counts[i] / N);
  return n / N * (pmi - 1);
}
