#include "actors/attestation/ima_check.hpp"

#include "adapters/ima/signature.hpp"

#include <algorithm>
#include <map>
#include <set>

namespace custos::attestation {

namespace {

using crypto::hash_alg;

constexpr std::uint32_t aggregated_sha1 = 8;  // PCRs 0-7
constexpr std::uint32_t aggregated_more = 10; // and 8, 9 from Linux 5.8 on

error refuse(std::string message, bool retryable = false) {
  auto e = make_error(errc::attestation_failed, "IMA log: " + std::move(message));
  e.check = "ima-log";
  e.pcr = ima::measured_pcr;
  e.retryable = retryable;
  return e;
}

error refuse(const ima::entry& e, const std::string& what) {
  return ima::entry_error(e, errc::attestation_failed, ima::printable(e.path) + " " + what);
}

enum class accounted : std::uint8_t { by_list = 1, by_signature, by_ignored_path };

/// Judges single entries.
class judge {
public:
  judge(const ima_index& index, bool allow_sha1) : index_(index), allow_sha1_(allow_sha1) {}

  /// Everything but boot aggregates.
  [[nodiscard]] result<accounted> account(const ima::entry& e) const {
    // That there was one is measured, its path is not: a host that hides what was changed would
    // name a path that is ignored. So no path excuses it.
    if (e.violation)
      return refuse(e, "was changed while it was measured (violation)");
    if (e.kind == ima::template_kind::ima && !allow_sha1_)
      return refuse(e, "is measured with the template ima, which knows no better than SHA-1");
    return e.kind == ima::template_kind::ima_buf ? buffer(e) : file(e);
  }

  /// The algorithm of the entry's digest, if it is good enough to decide.
  [[nodiscard]] result<hash_alg> strong(const ima::entry& e) const {
    const auto alg = e.hash();
    if (!alg)
      return refuse(e, "has a digest of " + std::string(e.algorithm) +
                           "; expected sha256, sha384 or sha512");
    if (*alg == hash_alg::sha1 && !allow_sha1_)
      return refuse(e, "has a SHA-1 digest, which is not allowed");
    return *alg;
  }

private:
  [[nodiscard]] result<accounted> buffer(const ima::entry& e) const {
    CUSTOS_TRY(const auto alg, strong(e));
    static_cast<void>(alg);
    if (index_.lists_buffer(e.path, e.digest))
      return accounted::by_list;
    return refuse(e, "is a buffer with the digest " + digest_text(e) +
                         ", which the image does not list");
  }

  [[nodiscard]] result<accounted> file(const ima::entry& e) const {
    if (index_.ignores_file(e.path))
      return accounted::by_ignored_path;
    CUSTOS_TRY(const auto alg, strong(e));
    if (index_.lists_file(e.path, e.digest))
      return accounted::by_list;
    if (!e.signature.empty())
      return signature(e, alg);
    return refuse(e, unlisted(e) + (e.appended_signature ? "; appended signatures are not judged"
                                                         : ", and no signature"));
  }

  [[nodiscard]] result<accounted> signature(const ima::entry& e, hash_alg alg) const {
    const auto parsed = ima::parse_signature(e.signature);
    if (!parsed)
      return refuse(e, unlisted(e) + "; " + parsed.failure().message);
    const auto by = "; its signature, by key " + key_text(parsed->key_id) + ", ";
    if (parsed->alg != alg || e.verity)
      return refuse(e, unlisted(e) + by + "is over another kind of digest");
    if (!index_.has_signer(parsed->key_id))
      return refuse(e, unlisted(e) + by + "is of none of the image's signers");
    if (!index_.signed_by(parsed->key_id, alg, e.digest, parsed->octets))
      return refuse(e, unlisted(e) + by + "does not verify");
    return accounted::by_signature;
  }

  static std::string digest_text(const ima::entry& e) {
    return std::string(e.algorithm) + ":" + crypto::hex(e.digest);
  }
  static std::string key_text(std::uint32_t id) {
    const std::array<std::uint8_t, 4> octets{
        static_cast<std::uint8_t>(id >> 24), static_cast<std::uint8_t>(id >> 16),
        static_cast<std::uint8_t>(id >> 8), static_cast<std::uint8_t>(id)};
    return crypto::hex(octets);
  }
  [[nodiscard]] std::string unlisted(const ima::entry& e) const {
    return "has the digest " + digest_text(e) +
           (index_.knows_file(e.path) ? ", which is none of those the image lists for it"
                                      : ", and the image does not list the file");
  }

  const ima_index& index_;
  bool allow_sha1_;
};

// ---- the boot aggregate -------------------------------------------------------------------------

const quoted_bank* find_bank(std::span<const quoted_bank> banks, hash_alg alg) {
  const auto at =
      std::find_if(banks.begin(), banks.end(), [&](const auto& b) { return b.alg == alg; });
  return at == banks.end() ? nullptr : &*at;
}

constexpr std::uint32_t first_pcrs(std::uint32_t n) {
  return (1U << n) - 1;
}

/// The digest over PCRs 0 to n-1, of which those from `from_log` on have the boot log's values.
bytes aggregate_of(const quoted_bank& bank, std::uint32_t n, const eventlog::replayed_bank* log,
                   std::uint32_t from_log) {
  bytes all;
  for (std::uint32_t pcr = 0; pcr < n; ++pcr) {
    const auto value = pcr < from_log ? bank.values.at(pcr) : log->value(pcr);
    all.insert(all.end(), value.begin(), value.end());
  }
  return crypto::digest(bank.alg, {all});
}

/// The list belongs to this boot: its first entry is over the PCRs of the boot (kernel:
/// ima_calc_boot_aggregate). Where they are not quoted, nothing is compared.
result<void> check_boot_aggregate(const ima::entry& e, hash_alg alg, const ima_input& input) {
  if (std::all_of(e.digest.begin(), e.digest.end(), [](auto b) { return b == 0; }))
    return refuse(e, "is zero: IMA started without a TPM");
  const auto* const bank = find_bank(input.banks, alg);
  const auto quotes = [&](std::uint32_t n) { return (~bank->mask & first_pcrs(n)) == 0; };
  if (bank == nullptr || !quotes(aggregated_sha1))
    return {};
  const auto same = [&](const bytes& d) {
    return std::equal(d.begin(), d.end(), e.digest.begin(), e.digest.end());
  };
  if (same(aggregate_of(*bank, aggregated_sha1, nullptr, aggregated_sha1)))
    return {};
  if (alg != hash_alg::sha1) {
    if (quotes(aggregated_more) &&
        same(aggregate_of(*bank, aggregated_more, nullptr, aggregated_more)))
      return {};
    const auto* const log = input.boot == nullptr ? nullptr : input.boot->find(alg);
    if (log != nullptr && same(aggregate_of(*bank, aggregated_more, log, aggregated_sha1)))
      return {};
  }
  return refuse(e, "is not over the quoted PCRs: the list is of another boot");
}

// ---- the list as a whole ------------------------------------------------------------------------

/// A state is of use only for the very policy and rules it was made with.
crypto::sha256_digest policy_of(const ima_index& index, bool allow_sha1) {
  bytes text = to_bytes(byte_view(index.fingerprint()));
  text.push_back(allow_sha1 ? 1 : 0);
  return crypto::sha256(text);
}

/// The quoted values that decide.
result<std::vector<ima::goal>> goals_of(const ima_input& input) {
  std::vector<ima::goal> out;
  for (const auto& b : input.banks)
    if ((b.mask >> ima::measured_pcr & 1U) != 0 && (b.alg != hash_alg::sha1 || input.allow_sha1))
      out.push_back({.alg = b.alg, .value = b.values.at(ima::measured_pcr)});
  if (!out.empty())
    return out;
  auto e = refuse("PCR 10 is not quoted in a bank that is strong enough");
  e.check = "pcr-selection";
  return e;
}

/// PCR 10 where the list starts.
result<std::vector<ima::aggregate>> start_of(const ima_input& input,
                                             const std::vector<ima::goal>& goals,
                                             const crypto::sha256_digest& policy,
                                             const std::optional<ima_state>& state) {
  std::vector<ima::aggregate> out;
  if (input.first == 0) {
    for (const auto& g : goals) {
      out.push_back({.alg = g.alg});
      if (input.allow_sha1 && g.alg != hash_alg::sha1)
        out.push_back({.alg = g.alg, .form = ima::extend_form::padded_sha1});
    }
    return out;
  }
  const auto whole = [](const std::string& why) {
    return refuse(why + "; send the whole log", true);
  };
  if (!state)
    return whole("nothing is known of the entries that were left out");
  if (!std::equal(state->ak_name.begin(), state->ak_name.end(), input.ak_name.begin(),
                  input.ak_name.end()) ||
      state->reset_count != input.reset_count)
    return whole("the entries left out were of another boot or attestation key");
  if (state->policy != policy)
    return whole("the entries left out were judged by another policy");
  if (state->entries != input.first)
    return whole("it starts with entry " + std::to_string(input.first) + ", but " +
                 std::to_string(state->entries) + " have been judged");
  for (const auto& g : goals)
    if (std::none_of(state->aggregates.begin(), state->aggregates.end(),
                     [&](const auto& a) { return a.alg == g.alg; }))
      return whole("the entries left out were not judged in bank " +
                   std::string(crypto::to_string(g.alg)));
  return state->aggregates;
}

/// Each of the first `n` entries is accounted for.
result<ima_counts> judge_entries(const ima_index& index, const ima_input& input,
                                 std::span<const ima::entry> entries) {
  ima_counts out;
  const judge by(index, input.allow_sha1);
  for (const auto& e : entries) {
    if (e.index == 0 && (!e.is_boot_aggregate() || e.violation))
      return refuse(e, "comes first; expected boot_aggregate");
    // A kernel started by kexec adds another one; a file of that name is no excuse for anything.
    if (e.is_boot_aggregate() && !e.violation) {
      CUSTOS_TRY(const auto alg, by.strong(e));
      CUSTOS_CHECK(check_boot_aggregate(e, alg, input));
      ++out.listed;
      continue;
    }
    CUSTOS_TRY(const auto how, by.account(e));
    switch (how) {
    case accounted::by_list:
      ++out.listed;
      break;
    case accounted::by_signature:
      ++out.by_signature;
      break;
    case accounted::by_ignored_path:
      ++out.ignored;
      break;
    }
  }
  return out;
}

// ---- policies of golden hosts -------------------------------------------------------------------

using digests_by_path = std::map<std::string, std::set<bytes>>;

digests_by_path digests_of(const std::vector<ima_file>& files) {
  digests_by_path out;
  for (const auto& f : files)
    out[f.path].insert(f.digests.begin(), f.digests.end());
  return out;
}

std::vector<ima_file> list_of(const digests_by_path& files) {
  std::vector<ima_file> out;
  out.reserve(files.size());
  for (const auto& [path, digests] : files)
    out.push_back({.path = path, .digests = {digests.begin(), digests.end()}});
  return out;
}

} // namespace

result<ima_outcome> check_ima(const ima_index& index, const ima_input& input,
                              const std::optional<ima_state>& state) {
  if (index.empty())
    return refuse("the image's policy is empty and accounts for nothing");
  if (input.first == 0 && input.log.empty())
    return refuse("the image demands it, and none was sent");
  if (input.first > UINT32_MAX)
    return refuse("it starts with an entry beyond what is counted");
  ima_outcome out;
  out.state.ak_name = to_bytes(input.ak_name);
  out.state.reset_count = input.reset_count;
  out.state.policy = policy_of(index, input.allow_sha1);
  CUSTOS_TRY(const auto goals, goals_of(input));
  CUSTOS_TRY(out.state.aggregates, start_of(input, goals, out.state.policy, state));
  CUSTOS_TRY(const auto log,
             ima::parse(input.log, input.limits, static_cast<std::uint32_t>(input.first)));
  CUSTOS_TRY(const auto reached, ima::replay_until(log, goals, out.state.aggregates));
  if (!reached)
    return refuse("its " + std::to_string(log.entries.size()) + " entries from entry " +
                      std::to_string(input.first) +
                      " on do not lead to the quoted value of PCR 10; read it after the quote and "
                      "send the whole log",
                  true);
  out.judged = *reached;
  out.unjudged = log.entries.size() - *reached;
  out.state.entries = input.first + *reached;
  if (out.state.entries == 0)
    return refuse("PCR 10 has its reset value: IMA measures nothing");
  CUSTOS_TRY(out.counts, judge_entries(index, input, std::span(log.entries).first(*reached)));
  return out;
}

result<ima_outcome> check_ima(const ima_policy& policy, const ima_input& input,
                              const std::optional<ima_state>& state) {
  CUSTOS_TRY(const auto index, ima_index::build(policy));
  return check_ima(index, input, state);
}

result<ima_policy> ima_policy_from_log(byte_view log, const ima_policy& base, bool allow_sha1,
                                       const ima::limits& limits) {
  CUSTOS_TRY(const auto index, ima_index::build(base));
  CUSTOS_TRY(const auto parsed, ima::parse(log, limits));
  if (parsed.entries.empty())
    return refuse("it is empty");
  auto files = digests_of(base.files);
  auto buffers = digests_of(base.buffers);
  const judge by(index, allow_sha1);
  for (const auto& e : parsed.entries) {
    CUSTOS_CHECK(ima::check_template_hash(e));
    if (e.is_boot_aggregate() && !e.violation)
      continue;
    auto how = by.account(e);
    if (how)
      continue;
    // What is left has either no entry in a list, or cannot have one.
    if (e.violation || (e.kind == ima::template_kind::ima && !allow_sha1) || !by.strong(e))
      return std::move(how).failure();
    auto& target = e.kind == ima::template_kind::ima_buf ? buffers : files;
    target[std::string(e.path)].insert(to_bytes(e.digest));
  }
  ima_policy out = base;
  out.files = list_of(files);
  out.buffers = list_of(buffers);
  return out;
}

} // namespace custos::attestation
