#pragma once
// What the KMIP test server answers: one Request Message in, one Response Message out. KMIP 1.0 to
// 1.4 and, for these operations, 2.0 and 2.1: Discover Versions, Query, Create, Register, Locate,
// Get, Get Attributes, Activate, Revoke, Destroy, Encrypt, Decrypt (AES-256 GCM and CBC). Batches
// of up to batch_items_max items, each answered by itself. Thread-safe.

#include "adapters/crypto/wiped_bytes.hpp"
#include "adapters/kmip/ttlv.hpp"
#include "tests/tools/kmip_test_server/faults.hpp"
#include "tests/tools/kmip_test_server/key_store.hpp"

#include <array>
#include <atomic>
#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <variant>
#include <vector>

namespace custos::kmip_test_server {

inline constexpr std::int32_t batch_items_max = 32;
inline constexpr std::size_t operations_counted = 0x40;

using version = std::pair<std::int32_t, std::int32_t>; ///< major, minor

/// Why an operation is refused (KMIP 1.4, 9.1.3.2.29).
struct refusal {
  kmip::result_reason reason = kmip::result_reason::general_failure;
  std::string message;
};

struct answer_options {
  std::vector<version> versions = {{2, 1}, {2, 0}, {1, 4}, {1, 3}, {1, 2}, {1, 1}, {1, 0}};
  std::string username; ///< empty: no credential is asked for
  std::string password;
};

/// One item of a request, as far as it could be read.
struct request_item {
  kmip::operation op{};
  std::optional<byte_view> id;
  kmip::ttlv_item payload;
};

class answers {
public:
  answers(answer_options options, key_store& keys) : options_(std::move(options)), keys_(keys) {}

  struct answered {
    crypto::wiped_bytes message;
    std::optional<fault> travel; ///< how it is to be sent
  };
  /// Never fails: what cannot be read is answered as KMIP 1.4, 9.2 says.
  answered answer(byte_view message, fault_box& faults);

  void set_versions(std::vector<version> v);
  /// How often an operation was asked for.
  [[nodiscard]] std::uint64_t count(kmip::operation o) const;

private:
  using write_payload = std::function<void(kmip::ttlv_writer&)>;
  using outcome = std::variant<refusal, write_payload>;

  struct header {
    version spoken{1, 0};
    std::int32_t items = 0;
    bool known_to_us = true; ///< the credential is right, or none is asked for
  };
  result<header> read_header(const kmip::ttlv_item& message);
  bool known(const kmip::ttlv_item& request_header) const;
  void answer_item(kmip::ttlv_writer& w, const header& h, const request_item& item,
                   const std::optional<fault>& f);
  outcome perform(const header& h, const request_item& item, const std::optional<fault>& f);

  outcome discover(const request_item& item, bool refuse);
  outcome query();
  outcome create(const header& h, const request_item& item);
  outcome register_key(const header& h, const request_item& item);
  outcome locate(const request_item& item);
  outcome get(const request_item& item, const std::optional<fault>& f);
  outcome get_attributes(const header& h, const request_item& item);
  outcome activate(const request_item& item);
  outcome revoke(const request_item& item);
  outcome destroy(const request_item& item);
  outcome encrypt(const header& h, const request_item& item);
  outcome decrypt(const header& h, const request_item& item);

  std::variant<refusal, key_ptr> key_of(const request_item& item);
  std::vector<version> versions();

  answer_options options_;
  std::mutex mutex_; ///< of options_.versions
  key_store& keys_;
  std::array<std::atomic<std::uint64_t>, operations_counted> counts_{};
};

} // namespace custos::kmip_test_server
