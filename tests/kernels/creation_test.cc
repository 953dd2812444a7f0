#include "core/kernels/creation.h"

#include "tests/kernels/support.h"

namespace tapewire::kernels {
namespace {

TEST(Creation, ArangeHasTheBitsOfPyTorch) {
  // torch.arange(0.1, 7.3, 0.37) of PyTorch 1.13, in float32 and float64.
  const Tensor floats = Tensor::empty({20});
  arange(floats, 0.1, 0.37);
  const Tensor doubles = Tensor::empty({20}, DType::kFloat64);
  arange(doubles, 0.1, 0.37);
  EXPECT_EQ(
      floats.to_vector<double>(),
      (std::vector<double>{0x1.99999a0000000p-4, 0x1.e147ae0000000p-2, 0x1.ae147a0000000p-1, 0x1.35c2900000000p+0,
                           0x1.947ae20000000p+0, 0x1.f333340000000p+0, 0x1.28f5c20000000p+1, 0x1.5851ec0000000p+1,
                           0x1.87ae140000000p+1, 0x1.b70a3c0000000p+1, 0x1.e666660000000p+1, 0x1.0ae1480000000p+2,
                           0x1.228f5c0000000p+2, 0x1.3a3d700000000p+2, 0x1.51eb840000000p+2, 0x1.69999a0000000p+2,
                           0x1.8147ae0000000p+2, 0x1.98f5c20000000p+2, 0x1.b0a3d80000000p+2, 0x1.c851ec0000000p+2}));
  EXPECT_EQ(
      doubles.to_vector<double>(),
      (std::vector<double>{0x1.999999999999ap-4, 0x1.e147ae147ae14p-2, 0x1.ae147ae147ae1p-1, 0x1.35c28f5c28f5cp+0,
                           0x1.947ae147ae148p+0, 0x1.f333333333334p+0, 0x1.28f5c28f5c290p+1, 0x1.5851eb851eb85p+1,
                           0x1.87ae147ae147bp+1, 0x1.b70a3d70a3d71p+1, 0x1.e666666666666p+1, 0x1.0ae147ae147aep+2,
                           0x1.228f5c28f5c29p+2, 0x1.3a3d70a3d70a4p+2, 0x1.51eb851eb851fp+2, 0x1.699999999999ap+2,
                           0x1.8147ae147ae14p+2, 0x1.98f5c28f5c28fp+2, 0x1.b0a3d70a3d70ap+2, 0x1.c851eb851eb85p+2}));
}

TEST(Creation, IntegersCountInInt64) {
  const Tensor out = Tensor::empty({4}, DType::kInt32);
  arange(out, int64_t{5}, int64_t{-3});
  EXPECT_EQ(out.to_vector<double>(), (std::vector<double>{5, 2, -1, -4}));
}

TEST(Creation, LinspaceEndsWhereItIsTold) {
  for (const DType dtype : kFloats) {
    const Tensor out = Tensor::empty({7}, dtype);
    linspace(out, 0.1, 0.7);
    expect_close(out, {0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7}, 1e-7, 1e-7);
    const Tensor ends = tensor_of({0.1, 0.7}, ints({2}), dtype);
    EXPECT_EQ(out.to_vector<double>().front(), ends.to_vector<double>().front());
    EXPECT_EQ(out.to_vector<double>().back(), ends.to_vector<double>().back());
  }
  const Tensor whole = Tensor::empty({4}, DType::kInt64);
  linspace(whole, 0, 10);
  EXPECT_EQ(whole.to_vector<double>(), (std::vector<double>{0, 3, 6, 10}));
  const Tensor one = Tensor::empty({1});
  linspace(one, 3, 9);
  EXPECT_EQ(one.item<double>(), 3);
}

}  // namespace
}  // namespace tapewire::kernels
