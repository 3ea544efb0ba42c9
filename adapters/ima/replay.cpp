#include "adapters/ima/ima.hpp"

#include <algorithm>

namespace custos::ima {

namespace {

bool reached(const goal& g, const aggregate& a) {
  const auto value = a.view();
  return g.alg == a.alg && std::equal(value.begin(), value.end(), g.value.begin(), g.value.end());
}

bool all_reached(std::span<const goal> goals, const std::vector<aggregate>& aggregates) {
  return std::all_of(goals.begin(), goals.end(), [&](const goal& g) {
    return std::any_of(aggregates.begin(), aggregates.end(),
                       [&](const aggregate& a) { return reached(g, a); });
  });
}

} // namespace

void template_digest(crypto::hash_alg alg, const entry& e, std::span<std::uint8_t> out) {
  if (e.kind != template_kind::ima) {
    crypto::digest_into(alg, {e.template_data}, out);
    return;
  }
  // The name fills IMA_EVENT_NAME_LEN_MAX + 1 octets; the parser lets no longer one through.
  static constexpr std::array<std::uint8_t, 256> zeros{};
  const auto name = as_bytes(e.path);
  crypto::digest_into(alg, {e.digest, name, byte_view(zeros).first(zeros.size() - name.size())},
                      out);
}

result<void> check_template_hash(const entry& e) {
  if (e.violation)
    return {};
  std::array<std::uint8_t, template_hash_bytes> hash{};
  template_digest(crypto::hash_alg::sha1, e, hash);
  if (hash != e.template_hash)
    return entry_error(e, errc::attestation_failed,
                       "its template hash is not that of its data (" + printable(e.path) + ")");
  return {};
}

void extend(aggregate& a, const entry& e) {
  const auto size = crypto::digest_size(a.alg);
  std::array<std::uint8_t, digest_bytes_max> measured{};
  const bool padded = a.form == extend_form::padded_sha1;
  if (e.violation)
    std::fill_n(measured.begin(), padded ? template_hash_bytes : size, std::uint8_t{0xFF});
  else if (padded || a.alg == crypto::hash_alg::sha1)
    std::copy(e.template_hash.begin(), e.template_hash.end(), measured.begin());
  else
    template_digest(a.alg, e, std::span(measured).first(size));
  const auto value = std::span(a.value).first(size);
  crypto::digest_into(a.alg, {value, byte_view(measured).first(size)}, value);
}

result<std::optional<std::size_t>> replay_until(const parsed_log& log, std::span<const goal> goals,
                                                std::vector<aggregate>& aggregates) {
  for (std::size_t done = 0;; ++done) {
    if (all_reached(goals, aggregates)) {
      std::erase_if(aggregates, [&](const aggregate& a) {
        return std::none_of(goals.begin(), goals.end(),
                            [&](const goal& g) { return reached(g, a); });
      });
      return std::optional<std::size_t>(done);
    }
    if (done == log.entries.size())
      return std::optional<std::size_t>();
    const auto& e = log.entries[done];
    // The SHA-1 that is shown also goes into SHA-1 banks and padded ones.
    CUSTOS_CHECK(check_template_hash(e));
    for (auto& a : aggregates)
      extend(a, e);
  }
}

} // namespace custos::ima
