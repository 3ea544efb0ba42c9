#pragma once
// The measurement list of Linux's Integrity Measurement Architecture, as the kernel shows it in
// securityfs: ascii_runtime_measurements and binary_runtime_measurements (little endian, which is
// also what ima_canonical_fmt gives). Parsing accounts for every byte; replaying gives the value
// of PCR 10 that the list claims. Nothing in a list is evidence before its replay equals the
// quoted value, and of a violation nothing but that it happened: its text is not measured.
// Thread rule: pure functions on their arguments. Lifetime: a parsed_log and its entries look into
// the caller's bytes and never outlive them. Errors have check "ima-log" and the entry's number.

#include "adapters/crypto/crypto.hpp"
#include "messages/bytes.hpp"
#include "messages/error.hpp"

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace custos::ima {

/// CONFIG_IMA_MEASURE_PCR_IDX. Entries that a policy rule sends to another PCR are refused.
inline constexpr std::uint32_t measured_pcr = 10;
/// The hash that the list shows is always SHA-1.
inline constexpr std::size_t template_hash_bytes = 20;
inline constexpr std::size_t digest_bytes_max = 64;
/// Name of the first entry: the digest over the PCRs of the boot.
inline constexpr std::string_view boot_aggregate_name = "boot_aggregate";

struct limits {
  std::size_t log_bytes_max = std::size_t{4} << 20;
  std::uint32_t entries_max = 131072;
  std::size_t field_bytes_max = std::size_t{64} << 10; ///< a path, signature or buffer
};

/// What an entry consists of (kernel: Documentation/security/IMA-templates).
enum class template_kind : std::uint8_t {
  ima = 1, ///< the first one: a digest of 20 octets and a name
  ima_ng,
  ima_sig,
  ima_buf, ///< a buffer of the kernel, not a file
  ima_ngv2,
  ima_sigv2,
  ima_modsig,
};
/// "ima-ng".
std::string_view to_string(template_kind kind);

struct entry {
  std::uint32_t index = 0;  ///< in the whole list, from 0
  std::uint32_t offset = 0; ///< of the entry's first byte in the log
  template_kind kind = template_kind::ima_ng;
  /// The kernel saw a file changed while it was measured (open for writing, or time of measure and
  /// time of use differ) and extended all ones; the entry's text is unmeasured.
  bool violation = false;
  bool verity = false; ///< the digest is one of fs-verity
  std::array<std::uint8_t, template_hash_bytes> template_hash{};
  byte_view template_data;    ///< what is hashed; empty for template_kind::ima
  std::string_view algorithm; ///< of the file's or buffer's digest, "sha256"; may be unknown to us
  byte_view digest;
  std::string_view path;           ///< of the file, or name of the buffer; any octets but zero
  byte_view signature;             ///< as in security.ima; empty if there is none
  bool appended_signature = false; ///< ima-modsig with one; it is not parsed

  /// Among the algorithms we know, the digest's length fits.
  [[nodiscard]] std::optional<crypto::hash_alg> hash() const;
  [[nodiscard]] bool is_boot_aggregate() const {
    return path == boot_aggregate_name && kind != template_kind::ima_buf;
  }
};

struct parsed_log {
  parsed_log() = default;
  parsed_log(parsed_log&&) = default;
  parsed_log& operator=(parsed_log&&) = default;
  // Entries look into `rebuilt`: a copy's would look into the original's.
  parsed_log(const parsed_log&) = delete;
  parsed_log& operator=(const parsed_log&) = delete;
  ~parsed_log() = default;

  byte_view log;
  bool ascii = false;
  std::vector<entry> entries;
  bytes rebuilt; ///< template data of an ASCII list, as the kernel hashed it; never grown
};

/// Reads a list, or its part from entry `first` on. An empty one has no entries. Errors: malformed,
/// too_large, or unsupported for a template or PCR that is not judged here.
result<parsed_log> parse(byte_view log, const limits& limit = {}, std::uint32_t first = 0);

/// An error about an entry.
error entry_error(const entry& e, errc code, const std::string& what);

/// A path for messages: printable ASCII, at most 200 characters.
std::string printable(std::string_view path);

// ---- replay -------------------------------------------------------------------------------------

/// How the kernel extends a bank other than SHA-1's: since 5.8 with that bank's own hash of the
/// template data; before, and where it lacks the algorithm, with the SHA-1 hash and zeros behind
/// it, which is only as good as SHA-1.
enum class extend_form : std::uint8_t { native = 1, padded_sha1 };

/// PCR 10 in one bank, as entries extend it. Starts with the reset value.
struct aggregate {
  crypto::hash_alg alg = crypto::hash_alg::sha256;
  extend_form form = extend_form::native;
  std::array<std::uint8_t, digest_bytes_max> value{};

  [[nodiscard]] byte_view view() const { return byte_view(value).first(crypto::digest_size(alg)); }
};

/// The hash of the entry's template data, into digest_size(alg) octets.
void template_digest(crypto::hash_alg alg, const entry& e, std::span<std::uint8_t> out);

/// The hash the list shows is that of the entry. A violation has none.
result<void> check_template_hash(const entry& e);

/// Extends by one entry (TPM 2.0 Part 1, 17.4).
void extend(aggregate& a, const entry& e);

/// The quoted value of PCR 10 in one bank.
struct goal {
  crypto::hash_alg alg = crypto::hash_alg::sha256;
  byte_view value;
};

/// Extends the aggregates entry by entry until each goal is reached by an aggregate of its bank,
/// all at once; the others are dropped then. Gives the number of entries that took: the list may
/// have grown since the quote. Nothing if the goals are never reached. At least one goal.
result<std::optional<std::size_t>> replay_until(const parsed_log& log, std::span<const goal> goals,
                                                std::vector<aggregate>& aggregates);

} // namespace custos::ima
