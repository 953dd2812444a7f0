#include "server/model/caught.h"

#include <new>

#include "core/base/limit_error.h"
#include "server/observe/rejection.h"

namespace tapewire {

absl::Status caught_status() {
  try {
    throw;
  } catch (const LimitError& error) {
    return limit_status(error.limit(), error.message(), error.code());
  } catch (const Error& error) {
    // An Error always says that something failed, whatever code it was given.
    const absl::StatusCode code = error.code() == absl::StatusCode::kOk ? absl::StatusCode::kInternal : error.code();
    return {code, error.message()};
  } catch (const std::bad_alloc&) {
    return absl::ResourceExhaustedError("out of memory: the system has none left for this call");
  } catch (const std::exception& error) {
    return absl::InternalError(error.what());
  } catch (...) {
    return absl::InternalError("an exception of no known type");
  }
}

}  // namespace tapewire
