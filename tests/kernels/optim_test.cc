#include "core/kernels/optim.h"

#include "core/kernels/optim_adaptive.h"
#include "core/kernels/optim_moments.h"
#include "tests/kernels/support.h"

// Expected values: three steps of torch.optim (PyTorch 1.13.1) in float64 with the gradients below.
namespace tapewire::kernels {
namespace {

Tensor start() { return Tensor::of<double>({0.5, -1.25, 2.0}); }
Tensor gradient(int k) {
  const double scale = k < 2 ? k + 1 : -1.5;
  return Tensor::of<double>({0.1 * scale, -0.2 * scale, 0.3 * scale});
}

void check_sgd(SgdStep step, const std::vector<double>& want) {
  for (const Tensor& param : layouts(start())) {
    const Tensor buffer = step.momentum != 0 ? Tensor::full({3}, NAN, DType::kFloat64) : Tensor();
    for (int k = 0; k < 3; ++k) {
      step.first_step = k == 0;
      sgd_step(param, gradient(k), buffer, step);
    }
    expect_close(param, want, 1e-15);
  }
}

TEST(Sgd, AgreesWithPyTorch) {
  check_sgd({.lr = 0.1}, {0x1.f0a3d70a3d70ap-2, -0x1.3851eb851eb85p+0, 0x1.f47ae147ae147p+0});
  check_sgd({.lr = 0.1, .weight_decay = 0.01}, {0x1.ef25800ea581ap-2, -0x1.3761a5b200c3ap+0, 0x1.f2f9eb605826dp+0});
  check_sgd({.lr = 0.1, .momentum = 0.9}, {0x1.ccb295e9e1b08p-2, -0x1.26594af4f0d84p+0, 0x1.d985f06f69446p+0});
  check_sgd({.lr = 0.1, .momentum = 0.9, .dampening = 0.3, .weight_decay = 0.01},
            {0x1.d1600d2e6d4cfp-2, -0x1.28626accba73dp+0, 0x1.dc6cd24dd9946p+0});
  check_sgd({.lr = 0.1, .momentum = 0.9, .nesterov = true},
            {0x1.c277c45cbbc2bp-2, -0x1.213be22e5de15p+0, 0x1.d1d9d3458cd21p+0});
  check_sgd({.lr = 0.1, .momentum = 0.9, .weight_decay = 0.01, .maximize = true},
            {0x1.182fc38dc50b4p-1, -0x1.57d3eda30629fp+0, 0x1.11c7fcbf94e71p+1});
}

void check_adam(AdamStep step, bool amsgrad, const std::vector<double>& want) {
  for (size_t layout = 0; layout < 3; ++layout) {
    const Tensor param = layouts(start())[layout];
    const Tensor mean = layouts(Tensor::zeros({3}, DType::kFloat64))[layout];
    const Tensor square = Tensor::zeros({3}, DType::kFloat64);
    const Tensor most = amsgrad ? layouts(Tensor::zeros({3}, DType::kFloat64))[layout] : Tensor();
    for (int k = 0; k < 3; ++k) {
      step.step = k + 1;
      adam_step(param, gradient(k), mean, square, most, step);
    }
    expect_close(param, want, 1e-14);
  }
}

TEST(Adam, AgreesWithPyTorch) {
  check_adam({.lr = 0.1}, false, {0x1.1bc9997137971p-2, -0x1.06f266361556bp+0, 0x1.c6f2662957d1ap+0});
  check_adam({.lr = 0.1, .weight_decay = 0.01}, false,
             {0x1.193a236f170d9p-2, -0x1.060678613599cp+0, 0x1.c5ee94d59355bp+0});
  check_adam({.lr = 0.1}, true, {0x1.1bc9997137971p-2, -0x1.06f266361556bp+0, 0x1.c6f2662957d1ap+0});
  check_adam({.lr = 0.1, .weight_decay = 0.01, .decoupled = true}, false,
             {0x1.1a8e7b10269cap-2, -0x1.06104f9de978bp+0, 0x1.c57d00913ac44p+0});
  check_adam({.lr = 0.1, .weight_decay = 0.05, .decoupled = true, .maximize = true}, false,
             {0x1.6d87119fc16e4p-1, -0x1.73e5ef6cff06bp+0, 0x1.18842af869056p+1});
}

// The other rules are compared with PyTorch over 1,000 steps in tests/optim; here, that any layout gives the same.
template <class Step>
void expect_layouts_do_not_matter(const Step& step) {
  const std::vector<Tensor> params = layouts(start());
  for (const Tensor& param : params) {
    const std::vector<Tensor> states{Tensor::full({3}, 0.5, DType::kFloat64), Tensor::full({3}, 0.25, DType::kFloat64),
                                     layouts(Tensor::full({3}, 0.125, DType::kFloat64))[1]};
    for (int k = 0; k < 3; ++k) step(param, gradient(k), states);
  }
  EXPECT_NE(params[0].to_vector<double>(), start().to_vector<double>());
  for (const Tensor& param : params) EXPECT_EQ(param.to_vector<double>(), params[0].to_vector<double>());
}

TEST(Optim, LayoutsDoNotMatter) {
  using States = std::vector<Tensor>;
  expect_layouts_do_not_matter(
      [](const Tensor& p, const Tensor& g, const States& s) { adamax_step(p, g, s[0], s[2], {}); });
  expect_layouts_do_not_matter(
      [](const Tensor& p, const Tensor& g, const States& s) { nadam_step(p, g, s[0], s[2], 0.004, 0.5, {}); });
  expect_layouts_do_not_matter(
      [](const Tensor& p, const Tensor& g, const States& s) { radam_step(p, g, s[0], s[2], {.step = 100}); });
  expect_layouts_do_not_matter([](const Tensor& p, const Tensor& g, const States& s) { adagrad_step(p, g, s[2], {}); });
  expect_layouts_do_not_matter(
      [](const Tensor& p, const Tensor& g, const States& s) { adadelta_step(p, g, s[0], s[2], {}); });
  expect_layouts_do_not_matter([](const Tensor& p, const Tensor& g, const States& s) {
    rmsprop_step(p, g, s[0], s[2], s[1], {.momentum = 0.5});
  });
}

TEST(Optim, LeavesASharedBuffersOtherOwnerAlone) {
  const Tensor param = start();
  const Ref<Buffer> snapshot = param.storage().share_buffer();
  sgd_step(param, gradient(0), Tensor(), {.lr = 1});
  EXPECT_EQ(reinterpret_cast<const double*>(snapshot->data())[0], 0.5);
  EXPECT_EQ(param.to_vector<double>()[0], 0.4);
}

TEST(Optim, RefusesAGradientOfAnotherShape) {
  EXPECT_NE(error_of([] { sgd_step(start(), Tensor::zeros({4}, DType::kFloat64), Tensor(), {}); }).find("float64[4]"),
            std::string::npos);
}

TEST(Optim, ThreadsDoNotMatter) {
  const Tensor grad = random_tensor(ints({500000}), DType::kFloat32);
  expect_threads_do_not_matter(grad.spec(), [&](const Tensor& param) {
    adam_step(param, grad, Tensor::zeros({500000}), Tensor::zeros({500000}), Tensor(), {.lr = 0.1});
  });
}

}  // namespace
}  // namespace tapewire::kernels
