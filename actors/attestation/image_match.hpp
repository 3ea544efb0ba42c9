#pragma once
// Does what was booted match an approved base image? Decided by digests; every measured event of a
// PCR that an image judges must be accounted for by it. Pure.

#include "adapters/eventlog/eventlog.hpp"
#include "adapters/tpm/structures.hpp"
#include "messages/config.hpp"

#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace custos::attestation {

/// One bank of the quote: authenticated values, by PCR.
struct quoted_bank {
  crypto::hash_alg alg = crypto::hash_alg::sha256;
  std::uint32_t mask = 0; ///< PCRs that are in the signed selection
  std::array<byte_view, eventlog::pcrs_max> values{};
};

/// The banks of a quote with the values that its signature covers: only those are ever looked at.
/// They are views into `values`.
std::vector<quoted_bank> quoted_banks(const tpm::attest& quote,
                                      const std::vector<pcr_value>& values);

/// Every bank that is quoted and logged, to be replayed: those that no image decides by must tell
/// the same story.
std::vector<crypto::hash_alg> logged_banks(std::span<const quoted_bank> banks,
                                           const eventlog::parsed_log& log);

/// Check 9 for one bank: PCRs 0-7 have been extended. A bank that the firmware never extended can
/// be made to say anything (CVE-2021-42299). error.check is "pcr-bank", with pcr.
result<void> check_extended(const quoted_bank& bank);

/// Check 13 for every bank that is quoted, whether an image decides by it or not: the log has the
/// bank, and leads to its value in each of `pcrs` that has events. Whoever can extend a bank that
/// the firmware left alone can make one bank tell another story than the other (CVE-2021-42299).
/// `replayed` is of logged_banks(). error.check is "pcr-bank" or
/// "event-log-replay", with pcr.
result<void> check_banks_agree(std::span<const quoted_bank> banks, const eventlog::parsed_log& log,
                               const eventlog::replayed& replayed, std::uint32_t pcrs);

/// The bank an image's digests are of.
result<crypto::hash_alg> bank_of(const base_image& image);

/// PCRs the image names, in any form, and 7 where it demands a state of Secure Boot.
std::uint32_t pcrs_of(const base_image& image);

/// Check 14 for these PCRs: the data that is shown is the data that was measured. Machines with an
/// old shim are common: the byte it logs beyond what it measured is no part of the data that
/// counts, so nothing is lost by allowing it. error.check is "event-data", with pcr and event.
result<void> check_event_data(std::uint32_t pcrs, crypto::hash_alg bank,
                              const eventlog::parsed_log& log);

/// Nothing if the image matches; else why not (check "event-log-replay", "separator", "event-data"
/// or "base-image", with pcr and event) and how far it matched, to find the nearest.
struct mismatch {
  error why;
  std::size_t matched_events = 0;
};
std::optional<mismatch> match_image(const base_image& image, const quoted_bank& quoted,
                                    const eventlog::parsed_log& log,
                                    const eventlog::replayed_bank& replayed);

/// Makes a base image from a log: ordered form for each PCR of `pcrs` that has events.
result<base_image> image_from_log(const eventlog::parsed_log& log, crypto::hash_alg bank,
                                  std::uint32_t pcrs, std::string name, std::string version);

/// PCRs judged by default: firmware, its configuration, boot loader, kernel, Secure Boot, MOK.
inline constexpr std::uint32_t default_pcrs = 0x43FF; // 0-9 and 14

} // namespace custos::attestation
