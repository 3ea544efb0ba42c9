#pragma once
// The boot event log of the TCG PC Client Platform Firmware Profile 1.06, section 10: the
// crypto-agile form ("Spec ID Event03" header, TCG_PCR_EVENT2) and the older SHA-1 form
// (TCG_PCR_EVENT). Parsing accounts for every byte; replaying gives the PCR values the log claims.
// Nothing in a log is evidence before its replay equals the quoted values.
// Thread rule: pure functions on their arguments. Lifetime: a parsed_log and its events look into
// the caller's log bytes and never outlive them.

#include "adapters/crypto/crypto.hpp"
#include "messages/bytes.hpp"
#include "messages/error.hpp"

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <vector>

namespace custos::eventlog {

inline constexpr std::uint32_t pcrs_max = 24;
/// Entries of the header's algorithm table.
inline constexpr std::size_t banks_max = 16;
/// Longest digest an unknown bank may declare.
inline constexpr std::size_t digest_bytes_max = 64;

struct limits {
  std::size_t log_bytes_max = std::size_t{2} << 20;
  std::uint32_t events_max = 16384;
};

/// One entry of the algorithm table. The algorithm may be one we cannot compute (SM3, SHA-3).
struct bank {
  std::uint16_t alg = 0; ///< TPM_ALG_ID
  std::uint16_t digest_bytes = 0;
};

struct event {
  std::uint32_t index = 0; ///< from 0; the Spec ID header is event 0, as tools count
  std::uint32_t pcr = 0;   ///< 0-23; anything for EV_NO_ACTION
  std::uint32_t type = 0;
  std::uint32_t offset = 0; ///< of the event's first byte in the log
  byte_view data;           ///< not measured by itself, see event_types.hpp
};

struct parsed_log {
  byte_view log;
  bool crypto_agile = false;
  std::uint8_t spec_errata = 0; ///< of the header, crypto-agile only
  std::vector<bank> banks;      ///< as in the header; {SHA-1, 20} for the old form
  std::vector<event> events;
  /// From the StartupLocality event: 0, 3 or 4.
  std::optional<std::uint8_t> startup_locality;
  std::size_t padding_bytes = 0; ///< all-0x00 or all-0xFF bytes behind the last event
  /// events.size() * banks.size() offsets into log, 0: the event has no digest of that bank.
  std::vector<std::uint32_t> digest_offsets;

  /// Position in banks, if the log has that bank.
  [[nodiscard]] std::optional<std::size_t> bank_index(crypto::hash_alg alg) const;
  /// The banks whose digests we can compute, weakest first.
  [[nodiscard]] std::vector<crypto::hash_alg> known_banks() const;
  /// Empty if the event has no digest of that bank.
  [[nodiscard]] byte_view digest(const event& e, std::size_t bank) const;
  [[nodiscard]] byte_view digest(const event& e, crypto::hash_alg alg) const;
};

/// Reads a whole log. Every error has check "event-log-malformed" (or "event-log-size" where a
/// limit is exceeded), the event's index and, in the message, its offset. An empty log is an error.
result<parsed_log> parse(byte_view log, const limits& limit = {});

/// Replayed values of one bank.
struct replayed_bank {
  crypto::hash_alg alg = crypto::hash_alg::sha256;
  std::uint32_t touched = 0; ///< bit n set: an event extended PCR n
  std::array<std::array<std::uint8_t, digest_bytes_max>, pcrs_max> values{};

  /// The value of a PCR (its reset value if nothing extended it). pcr < 24.
  [[nodiscard]] byte_view value(std::uint32_t pcr) const {
    return byte_view(values.at(pcr)).first(crypto::digest_size(alg));
  }
};

struct replayed {
  std::vector<replayed_bank> banks;
  /// nullptr: not asked for.
  [[nodiscard]] const replayed_bank* find(crypto::hash_alg alg) const;
};

/// Extends every bank asked for, event by event (Part 1, 17.4). EV_NO_ACTION extends nothing.
/// Reset values: PCR 0 by the startup locality (4 where the first measurement is an H-CRTM), 17-22
/// all ones, all others zero. A bank the log lacks, or an event that measures without a digest of
/// the bank, is an error ("event-log-malformed"): that bank's log would be incomplete.
result<replayed> replay(const parsed_log& log, std::span<const crypto::hash_alg> banks);

} // namespace custos::eventlog
