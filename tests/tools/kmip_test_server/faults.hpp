#pragma once
// What the KMIP test server does wrong on purpose: told by lines of text while it runs.
// Thread-safe: a line may come while connections answer.

#include "adapters/kmip/tags.hpp"
#include "messages/error.hpp"

#include <cstdint>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace custos::kmip_test_server {

enum class wrong : std::uint8_t {
  // How the answer travels.
  slow,         ///< one octet at a time, `number` ms apart
  late,         ///< after `number` ms
  garbage,      ///< octets that are no TTLV
  short_length, ///< the outermost length is 8 too small
  long_length,  ///< the outermost length is 8 too large
  giant,        ///< an answer of `number` MiB is announced, and zeros come for ever
  cut,          ///< half of the answer, then the end of the connection
  close,        ///< no answer, the end of the connection; what was asked is done
  silent,       ///< no answer, the connection stays
  flood,        ///< the answer twice
  // What the answer says.
  other_id,     ///< the Unique Batch Item ID of another request
  other_key,    ///< another object, with its Unique Identifier and key
  no_operation, ///< "Invalid Message" without Operation and ID, as KMIP 1.0
  no_version,   ///< no version is spoken that anybody asks for
  lost,         ///< Item Not Found
  denied,       ///< Permission Denied
  failing,      ///< General Failure
  pending,      ///< Operation Pending
  short_key,    ///< the key has less octets than its Cryptographic Length says
  key_length,   ///< the key has `number` octets, and a Cryptographic Length to match
};

struct fault {
  wrong what = wrong::silent;
  std::uint32_t number = 0;
  std::optional<kmip::operation> on;       ///< empty: every operation
  std::optional<std::uint32_t> times_left; ///< empty: until it is taken back
};

/// "NAME [NUMBER] [on=OPERATION] [times=N]"; names with hyphens, operations as "get", "create",
/// "discover-versions".
result<fault> parse_fault(std::string_view text);

/// The operation of that name in lower case with hyphens.
std::optional<kmip::operation> operation_of_name(std::string_view name);
std::string name_of_operation(kmip::operation o);

class fault_box {
public:
  void add(fault f);
  void clear();
  /// The first fault for that operation, which has then happened once more.
  std::optional<fault> take(kmip::operation o);

private:
  std::mutex mutex_;
  std::vector<fault> faults_;
};

} // namespace custos::kmip_test_server
