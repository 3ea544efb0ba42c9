#include "actors/attestation/image_build.hpp"

#include "adapters/eventlog/event_types.hpp"

#include <algorithm>
#include <array>
#include <map>
#include <set>

namespace custos::attestation {

namespace {

struct seen_boot {
  const golden_boot* boot = nullptr;
  eventlog::replayed replayed;
  quoted_bank quoted; ///< values looking into `boot` and `replayed`
  std::uint32_t known = 0;

  [[nodiscard]] bool logged(std::uint32_t pcr) const {
    return (replayed.banks.front().touched >> pcr & 1U) != 0;
  }
  /// Its value was read, or follows from events.
  [[nodiscard]] bool knows(std::uint32_t pcr) const { return (known >> pcr & 1U) != 0; }
};

error about(const golden_boot& boot, std::uint32_t pcr, const std::string& what) {
  auto e =
      field_error(errc::invalid_argument, boot.source, "PCR " + std::to_string(pcr) + ": " + what);
  e.pcr = pcr;
  return e;
}

result<seen_boot> look_at(const golden_boot& boot, crypto::hash_alg bank) {
  if (!boot.log->bank_index(bank))
    return field_error(errc::invalid_argument, boot.source,
                       "the event log has no bank " + std::string(crypto::to_string(bank)));
  seen_boot out;
  out.boot = &boot;
  auto replayed = eventlog::replay(*boot.log, std::array{bank});
  if (!replayed) {
    auto e = std::move(replayed).failure();
    e.field = boot.source;
    return e;
  }
  out.replayed = *std::move(replayed);
  out.quoted.alg = bank;
  const auto& claimed = out.replayed.banks.front();
  out.known = claimed.touched;
  for (std::uint32_t pcr = 0; pcr < eventlog::pcrs_max; ++pcr)
    out.quoted.values.at(pcr) = claimed.value(pcr);
  for (const auto& v : boot.values)
    if (v.bank == static_cast<std::uint16_t>(bank) && v.pcr < eventlog::pcrs_max) {
      out.quoted.values.at(v.pcr) = v.value;
      out.known |= 1U << v.pcr;
    }
  out.quoted.mask = (1U << eventlog::pcrs_max) - 1;
  return out;
}

using seen_boots = std::vector<seen_boot>;

/// Counts what all share of what there is.
template <class Key>
varying_pcr counted(std::uint32_t pcr, pcr_form form, const std::vector<std::set<Key>>& seen) {
  varying_pcr out{pcr, form, 0, 0};
  std::map<Key, std::size_t> count;
  for (const auto& boot : seen)
    for (const auto& key : boot)
      ++count[key];
  out.all = count.size();
  out.shared = static_cast<std::size_t>(std::count_if(
      count.begin(), count.end(), [&](const auto& one) { return one.second == seen.size(); }));
  return out;
}

class builder {
public:
  builder(const seen_boots& boots, const build_options& options)
      : boots_(boots), options_(options) {}

  result<built_image> build() {
    out_.image.name = options_.name;
    out_.image.version = options_.version;
    out_.image.bank = crypto::to_string(options_.bank);
    for (std::uint32_t pcr = 0; pcr < eventlog::pcrs_max; ++pcr) {
      if (((options_.pcrs | options_.exact | options_.ignored) >> pcr & 1U) == 0)
        continue;
      CUSTOS_CHECK(add(pcr));
    }
    if (std::all_of(out_.image.pcrs.begin(), out_.image.pcrs.end(),
                    [](const auto& p) { return p.form == pcr_form::ignored; }))
      return make_error(errc::invalid_argument,
                        "the event log has no events in the PCRs asked for: nothing would be "
                        "judged");
    return std::move(out_);
  }

private:
  result<void> add(std::uint32_t pcr) {
    pcr_policy policy;
    policy.pcr = pcr;
    if ((options_.ignored >> pcr & 1U) != 0) {
      policy.form = pcr_form::ignored;
      out_.image.pcrs.push_back(std::move(policy));
      return {};
    }
    const bool logged = std::any_of(boots_.begin(), boots_.end(),
                                    [pcr](const seen_boot& b) { return b.logged(pcr); });
    const bool known = std::any_of(boots_.begin(), boots_.end(),
                                   [pcr](const seen_boot& b) { return b.knows(pcr); });
    if ((options_.exact >> pcr & 1U) != 0 || (!logged && known))
      return add_exact(std::move(policy));
    return logged ? add_events(std::move(policy)) : result<void>();
  }

  result<void> add_exact(pcr_policy policy) {
    policy.form = pcr_form::exact;
    std::vector<std::set<bytes>> seen;
    for (const auto& b : boots_) {
      auto value = to_bytes(b.quoted.values.at(policy.pcr));
      if (!b.knows(policy.pcr))
        return about(*b.boot, policy.pcr,
                     "its value is not known: the log has no event of it and no values are given");
      seen.push_back({value});
      if (std::find(policy.values.begin(), policy.values.end(), value) == policy.values.end())
        policy.values.push_back(std::move(value));
    }
    if (policy.values.size() > 1)
      out_.varying.push_back(counted(policy.pcr, policy.form, seen));
    out_.image.pcrs.push_back(std::move(policy));
    return {};
  }

  result<void> add_events(pcr_policy policy) {
    using key = std::pair<std::uint32_t, bytes>;
    std::vector<std::set<key>> seen;
    std::vector<std::vector<key>> orders;
    std::set<key> taken;
    for (const auto& b : boots_) {
      auto& order = orders.emplace_back();
      auto& set = seen.emplace_back();
      for (const auto& e : b.boot->log->events) {
        if (e.pcr != policy.pcr || e.type == eventlog::event_type::no_action)
          continue;
        auto digest = to_bytes(b.boot->log->digest(e, options_.bank));
        order.emplace_back(e.type, digest);
        set.emplace(e.type, digest);
        // In order every event counts, in a set each once.
        if (taken.emplace(e.type, digest).second || orders.size() == 1)
          policy.events.push_back({e.type, std::move(digest), eventlog::describe(e)});
      }
    }
    const bool same = std::all_of(orders.begin(), orders.end(),
                                  [&](const auto& one) { return one == orders.front(); });
    if (same) {
      out_.image.pcrs.push_back(std::move(policy));
      return {};
    }
    if (options_.varying == varying_pcrs::refuse)
      return differs(policy.pcr, orders);
    policy.form = options_.varying == varying_pcrs::set ? pcr_form::set : pcr_form::ignored;
    out_.varying.push_back(counted(policy.pcr, policy.form, seen));
    if (policy.form == pcr_form::ignored)
      policy.events.clear();
    std::set<key> once;
    std::erase_if(policy.events,
                  [&](const image_event& e) { return !once.emplace(e.type, e.digest).second; });
    out_.image.pcrs.push_back(std::move(policy));
    return {};
  }

  template <class Orders>
  error differs(std::uint32_t pcr, const Orders& orders) const {
    for (std::size_t i = 1; i < orders.size(); ++i)
      if (orders[i] != orders.front()) {
        const auto at = std::mismatch(orders.front().begin(), orders.front().end(),
                                      orders[i].begin(), orders[i].end());
        return about(*boots_[i].boot, pcr,
                     "its measurement " + std::to_string(at.first - orders.front().begin()) +
                         " is not that of " + boots_.front().boot->source);
      }
    return about(*boots_.front().boot, pcr, "varies");
  }

  const seen_boots& boots_;
  const build_options& options_;
  built_image out_;
};

} // namespace

result<built_image> build_image(std::span<const golden_boot> boots, const build_options& options) {
  if (boots.empty() || boots.size() > golden_boots_max)
    return make_error(errc::invalid_argument, "expected 1 to " + std::to_string(golden_boots_max) +
                                                  " event logs of golden hosts");
  seen_boots seen;
  for (const auto& b : boots) {
    CUSTOS_TRY(auto one, look_at(b, options.bank));
    seen.push_back(std::move(one));
  }
  CUSTOS_TRY(auto out, builder(seen, options).build());
  // An image that refuses its own golden host is of no use to anybody.
  for (const auto& b : seen)
    if (auto m = match_image(out.image, b.quoted, *b.boot->log, b.replayed.banks.front())) {
      auto e = std::move(m->why);
      e.field = b.boot->source;
      return e;
    }
  return out;
}

} // namespace custos::attestation
