#pragma once

#include <vector>

namespace tapewire {

/// What the options of optimizers have in common, with PyTorch's messages. NaN never passes.

/// "Invalid learning rate: -1.0".
void check_learning_rate(double rate);
/// "Invalid epsilon value: -1.0".
void check_epsilon(double eps);
/// "Invalid weight_decay value: -1.0" for less than zero.
void check_not_negative(const char* name, double value);
/// "Invalid beta parameter at index 0: 1.0", and that there are two.
void check_betas(const std::vector<double>& betas);

}  // namespace tapewire
