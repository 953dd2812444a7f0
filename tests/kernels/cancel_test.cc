// What is stopped at any place ends with the error and nothing else.

#include "core/base/cancel.h"
#include "core/kernels/gemm_impl.h"
#include "core/kernels/qr.h"
#include "core/kernels/svd.h"
#include "tests/kernels/support.h"

namespace tapewire::kernels {
namespace {

// Runs f again and again, each time stopped a little later, until it ends by itself; then once more to the end.
void stop_everywhere(const char* what, int64_t step, const std::function<void()>& f) {
  CancelToken token;
  token.cancel();
  int64_t stops = 0;
  bool ended = false;
  for (int64_t work = step; !ended; work += step * (1 + stops / 200)) {
    const CancelScope scope(&token);
    detail::work_left = work;
    try {
      f();
      ended = true;
    } catch (const Error& error) {
      ASSERT_EQ(error.code(), absl::StatusCode::kCancelled) << what;
      ++stops;
    }
    if (work > detail::kWorkBetweenChecks * 4096) break;
  }
  detail::work_left = detail::kWorkBetweenChecks;
  EXPECT_GT(stops, 100) << what;
  f();
}

// The smallest step is one of Eigen's assertions.
constexpr int64_t kAssertion = detail::kWorkBetweenChecks / 32;

TEST(Cancel, DecompositionsCanBeStoppedAnywhere) {
  for (const int64_t n : {7, 40}) {
    const Tensor x = random_tensor(Shape{1, n, n + 3}, DType::kFloat64);
    const Tensor u = Tensor::empty({1, n, n}, DType::kFloat64);
    const Tensor s = Tensor::empty({1, n}, DType::kFloat64);
    const Tensor vh = Tensor::empty({1, n, n + 3}, DType::kFloat64);
    stop_everywhere("svd", kAssertion, [&] { svd(x, u, s, vh); });
    const Tensor y = random_tensor(Shape{n + 60, n}, DType::kFloat32);
    const Tensor q = Tensor::empty({n + 60, n});
    stop_everywhere("qr", kAssertion, [&] { orthonormal_columns(y, q); });
  }
}

TEST(Cancel, ProductsCanBeStoppedAnywhere) {
  const auto run = [](int64_t m, int64_t k, int64_t n) {
    const Tensor a = random_tensor(Shape{m, k}, DType::kFloat32);
    const Tensor b = random_tensor(Shape{k, n}, DType::kFloat32);
    const Tensor out = Tensor::empty({m, n});
    const MatrixView<float> left{a.data<float>(), m, k, k, 1};
    const MatrixView<float> right{b.data<float>(), k, n, n, 1};
    stop_everywhere("gemm", kAssertion, [&] { gemm_serial(left, right, out.mutable_data<float>(), n, /*add=*/false); });
  };
  run(100, 300, 90);
  run(50, 5, 400);
}

}  // namespace
}  // namespace tapewire::kernels
