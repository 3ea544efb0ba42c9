#pragma once
// Changes primary keys when their interval is over (rotation_schedule.hpp). One at every node; only
// the one of the leader acts, and writes through the ConfigStore like everybody else, on condition
// that nobody changed the configuration meanwhile. What it does and what fails is audited; what
// failed is tried again an hour later and told in the provider's status.

#include "actors/keyprovider/native_keys.hpp"
#include "messages/clock.hpp"
#include "messages/config_cell.hpp"
#include "messages/interfaces.hpp"

#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <string>

namespace custos::keyprovider {

/// Why the primary key of a provider was not changed when it was due. Thread-safe.
class rotation_problems {
public:
  void set(const std::string& provider, std::string why);
  void clear(const std::string& provider);
  /// Empty: there is none.
  [[nodiscard]] std::string of(const std::string& provider) const;

private:
  mutable std::mutex mutex_;
  std::map<std::string, std::string> problems_;
};

struct rotation_limits {
  std::uint32_t look_interval_s = 60;
  std::uint32_t retry_s = 3600;
  std::uint32_t make_timeout_s = 65; ///< longer than a provider may wait for its key servers
  std::uint32_t write_timeout_s = 10;
  std::uint32_t write_attempts_max = 5;
};

/// What it needs of the Key Provider Service and of the ConfigStore: handles of theirs convert.
using primary_key_maker =
    caf::typed_actor<caf::replies_to<create_primary_key>::with<kmip::key_created>>;
using config_writer = caf::typed_actor<caf::replies_to<config_command>::with<config_applied>>;

struct rotation_dependencies {
  std::shared_ptr<const config_cell> config;
  clock_source now;
  std::function<bool()> leads;
  primary_key_maker keys;
  config_writer config_store;
  audit_api audit;
  std::function<result<native_key>(const std::string& provider)> make_native_key;
  /// The document of an object, as the ConfigStore takes it.
  std::function<std::string(const key_provider&)> document_of;
  std::shared_ptr<rotation_problems> problems;
  std::string actor; ///< who acts, for audit log and ConfigStore: "node:NAME"
  rotation_limits limits;
};

using rotation_api = caf::typed_actor<caf::reacts_to<tick>>;

/// Looks around once every look_interval_s, first after one. Stop it with an exit message.
rotation_api spawn_rotation(caf::actor_system& system, rotation_dependencies given);

} // namespace custos::keyprovider
