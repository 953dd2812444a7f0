#include "core/kernels/erfinv.h"

#include <cmath>
#include <limits>

#include "tests/kernels/support.h"

namespace tapewire::kernels {
namespace {

TEST(Erfinv, UndoesErf) {
  for (const DType dtype : kFloats) {
    const double ulp = dtype == DType::kFloat32 ? 0x1p-23 : 0x1p-52;
    const Tensor x = Tensor::empty({1999}, dtype);
    dispatch_floating("test", dtype, [&]<class T>(TypeTag<T>) {
      for (int i = 0; i < 1999; ++i) x.mutable_data<T>()[i] = static_cast<T>(i - 999) / T{1000};
    });
    const Tensor y = Tensor::empty({1999}, dtype);
    erfinv(x, y);
    const std::vector<double> from = x.to_vector<double>();
    const std::vector<double> to = y.to_vector<double>();
    for (size_t i = 0; i < from.size(); ++i) EXPECT_NEAR(std::erf(to[i]), from[i], 4 * ulp) << from[i];
  }
}

TEST(Erfinv, IsInfiniteAtTheEndsAndNaNOutside) {
  const Tensor x = Tensor::of<double>({-1, 1, 1.5, -2, std::numeric_limits<double>::quiet_NaN()});
  erfinv(x, x);
  const std::vector<double> y = x.to_vector<double>();
  EXPECT_EQ(y[0], -std::numeric_limits<double>::infinity());
  EXPECT_EQ(y[1], std::numeric_limits<double>::infinity());
  for (size_t i = 2; i < y.size(); ++i) EXPECT_TRUE(std::isnan(y[i]));
}

}  // namespace
}  // namespace tapewire::kernels
