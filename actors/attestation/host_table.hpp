#pragma once
// What a node knows of its hosts, in memory: shared by all verifiers, the gate and the gateway.
// Striped locks, held for a look-up or a copy of one record: two cores meet only when they work on
// hosts of the same stripe. Thread-safe. No clock: time is passed in.

#include "actors/attestation/ima_check.hpp"
#include "adapters/tpm/structures.hpp"
#include "messages/host_verdict.hpp"

#include <array>
#include <atomic>
#include <map>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

namespace custos::attestation {

/// Hosts that are remembered; of more, none is attested (as many as the configuration binds).
inline constexpr std::size_t known_hosts_max = 262144;
/// Longest message of a verdict that is kept, and the most findings and watched images.
inline constexpr std::size_t verdict_message_bytes_max = 400;
inline constexpr std::size_t verdict_lists_max = 8;

/// What the gate asks before it honours a token.
struct host_standing {
  bytes ak_name;
  std::uint32_t reset_count = 0;
  std::int64_t first_seen_in_boot = 0; ///< unix seconds
  std::int64_t failed_since = 0;       ///< unix seconds; 0: the host is in good standing
  std::uint32_t restart_count = 0;     ///< within that boot
};

class host_table {
public:
  [[nodiscard]] std::optional<host_record> find(std::string_view host) const;
  /// By host id, beginning behind `after`.
  [[nodiscard]] std::vector<host_record> list(const list_host_records& page) const;
  [[nodiscard]] std::optional<host_standing> standing(std::string_view host) const;
  [[nodiscard]] std::optional<ima_state> ima_of(std::string_view host) const;
  [[nodiscard]] std::size_t size() const;
  /// The newest accepted attestation of any host, unix seconds; 0: none.
  [[nodiscard]] std::int64_t last_attested() const;
  /// The same by image, of those that any known host matched last.
  [[nodiscard]] std::map<std::string, std::int64_t> images_last_attested() const;

  /// Check 11: compares the clock of an authentic quote with the newest one of the same AK and
  /// remembers it, in one step. The counts are obfuscated per key (Part 1, 36.7), so differences
  /// are taken modulo 2^32. Another AK begins anew. error.check "clock"; errc::overloaded when no
  /// more hosts are remembered. What is found wrong does not move what is remembered back.
  result<void> see_clock(const host_id& host, byte_view ak_name, const tpm::clock_info& clock,
                         bool require_safe, std::int64_t now);
  /// Puts a verdict on record. One that is not authentic says nothing of the host's standing.
  void settle(const host_id& host, host_verdict verdict);
  void remember_ima(const host_id& host, ima_state state);
  /// True if this digest of evidence is new for the host: it is to be kept then.
  bool is_new_evidence(const host_id& host, byte_view sha256);
  /// The host's evidence is not kept (any more).
  void drop_evidence(std::string_view host);

  void restore(host_record record);
  void forget(std::string_view host);

private:
  struct entry {
    host_record record;
    std::optional<ima_state> ima; ///< only with hosts whose image demands an IMA log
  };
  struct name_hash {
    using is_transparent = void;
    std::size_t operator()(std::string_view s) const { return std::hash<std::string_view>{}(s); }
  };
  struct stripe {
    mutable std::mutex mutex;
    std::unordered_map<std::string, entry, name_hash, std::equal_to<>> hosts;
  };
  static constexpr std::size_t stripes_count = 64;

  [[nodiscard]] stripe& of(std::string_view host) const {
    return stripes_[name_hash{}(host) % stripes_count];
  }
  /// The host's entry, made if there is room. The stripe is locked by the caller.
  entry* make(stripe& s, const host_id& host);

  void saw_image(const host_verdict& verdict);

  mutable std::array<stripe, stripes_count> stripes_;
  mutable std::mutex images_mutex_;
  std::map<std::string, std::int64_t> images_;
  std::atomic<std::size_t> size_{0};
  std::atomic<std::int64_t> last_attested_{0};
};

} // namespace custos::attestation
