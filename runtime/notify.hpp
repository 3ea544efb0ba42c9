#pragma once
// The word to the service manager (sd_notify(3), protocol of systemd's NOTIFY_SOCKET): without one
// it says nothing. Thread rule: any thread, before or after, not while the environment changes.

#include <string_view>

namespace custos::runtime {

/// "READY=1", "STOPPING=1". False: there is a service manager, and it was not told.
bool notify_service_manager(std::string_view state);

} // namespace custos::runtime
