#include "actors/attestation/image_index.hpp"

#include "adapters/eventlog/event_types.hpp"

#include <algorithm>
#include <cstring>

namespace custos::attestation {

namespace {

constexpr std::uint32_t drtm_pcrs = 0x7E0000; // 17-22: all ones until a DRTM resets them
/// Where a TPM may have been started from; it is the start value of PCR 0 (Part 1, 12.2.4.3).
constexpr std::array<std::uint8_t, 3> startup_localities{0, 3, 4};
constexpr std::uint64_t seed = 0x9E3779B97F4A7C15ULL;

std::uint64_t mixed(std::uint64_t x) {
  x = (x ^ (x >> 30U)) * 0xBF58476D1CE4E5B9ULL;
  x = (x ^ (x >> 27U)) * 0x94D049BB133111EBULL;
  return x ^ (x >> 31U);
}

/// Digests are as good as random: their beginning tells them apart, and nothing is decided by it.
std::uint64_t beginning(byte_view digest) {
  std::uint64_t out = 0;
  if (digest.size() >= sizeof out)
    std::memcpy(&out, digest.data(), sizeof out);
  return out;
}

std::uint64_t value_key(crypto::hash_alg bank, std::uint32_t pcr, std::uint64_t value) {
  return mixed(value ^ mixed(seed + pcr + (std::uint64_t{static_cast<std::uint16_t>(bank)} << 8U)));
}

std::uint64_t digest_key(std::uint64_t images_key, crypto::hash_alg bank, std::uint32_t pcr,
                         std::uint64_t digest) {
  return mixed(images_key ^ value_key(bank, pcr, digest));
}

/// The value that ordered events lead to.
std::uint64_t outcome_of(const pcr_policy& policy, crypto::hash_alg bank, std::uint8_t start) {
  bytes value(crypto::digest_size(bank), (drtm_pcrs >> policy.pcr & 1U) != 0 ? 0xFF : 0x00);
  value.back() = static_cast<std::uint8_t>(value.back() | start);
  for (const auto& e : policy.events)
    crypto::digest_into(bank, {value, e.digest}, value);
  return beginning(value);
}

/// The values that a policy leaves to a PCR; none: it cannot be met.
std::vector<std::uint64_t> outcomes_of(const pcr_policy& policy, crypto::hash_alg bank) {
  std::vector<std::uint64_t> out;
  const auto size = crypto::digest_size(bank);
  if (policy.form == pcr_form::exact) {
    for (const auto& v : policy.values)
      if (v.size() == size)
        out.push_back(beginning(v));
  } else if (std::all_of(policy.events.begin(), policy.events.end(),
                         [&](const image_event& e) { return e.digest.size() == size; })) {
    for (const auto start : startup_localities)
      if (start == 0 || policy.pcr == 0)
        out.push_back(outcome_of(policy, bank, start));
  }
  std::sort(out.begin(), out.end());
  out.erase(std::unique(out.begin(), out.end()), out.end());
  return out;
}

const quoted_bank* find_bank(std::span<const quoted_bank> banks, crypto::hash_alg alg) {
  const auto at =
      std::find_if(banks.begin(), banks.end(), [&](const quoted_bank& b) { return b.alg == alg; });
  return at == banks.end() ? nullptr : &*at;
}

bool has(std::uint32_t mask, std::uint32_t pcr) {
  return (mask >> pcr & 1U) != 0;
}

} // namespace

struct image_index::filed_image {
  struct keyed_pcr {
    std::uint32_t pcr = 0;
    std::vector<std::uint64_t> values;
  };
  struct digest_set {
    std::uint32_t pcr = 0;
    std::vector<std::uint64_t> digests; ///< sorted, each once
  };

  std::string name;
  image_ptr image;
  crypto::hash_alg bank = crypto::hash_alg::sha256;
  std::uint32_t needed = 0;
  std::vector<keyed_pcr> keyed; ///< by PCR
  std::vector<digest_set> sets;
  bool judges = false; ///< an image that judges nothing must not match everything
  bool possible = true;
};

image_index::filed_ptr image_index::file(const std::string& name, const image_ptr& image) {
  const auto bank = bank_of(*image);
  if (!bank)
    return nullptr;
  auto out = std::make_shared<filed_image>();
  out->name = name;
  out->image = image;
  out->bank = *bank;
  out->needed = pcrs_of(*image);
  std::array<const pcr_policy*, eventlog::pcrs_max> policies{};
  for (const auto& p : image->pcrs) {
    if (p.pcr >= eventlog::pcrs_max)
      return nullptr;
    out->judges = out->judges || p.form != pcr_form::ignored;
    if (policies.at(p.pcr) == nullptr)
      policies.at(p.pcr) = &p;
  }
  for (const auto* const p : policies) {
    if (p == nullptr || p->form == pcr_form::ignored)
      continue;
    if (p->form == pcr_form::set) {
      auto& set = out->sets.emplace_back();
      set.pcr = p->pcr;
      for (const auto& e : p->events)
        set.digests.push_back(beginning(e.digest));
      std::sort(set.digests.begin(), set.digests.end());
      set.digests.erase(std::unique(set.digests.begin(), set.digests.end()), set.digests.end());
      continue;
    }
    out->keyed.push_back({p->pcr, outcomes_of(*p, *bank)});
    out->possible = out->possible && !out->keyed.back().values.empty();
  }
  return out;
}

void image_index::put(shelf& on, filed_ptr image) {
  const auto position = static_cast<std::uint32_t>(on.images.size());
  for (const auto& k : image->keyed)
    for (const auto v : k.values)
      on.by_value[value_key(image->bank, k.pcr, v)].push_back(position);
  if (image->possible && image->judges) {
    std::vector<std::uint64_t> keys{seed};
    std::uint32_t mask = 0;
    for (const auto& k : image->keyed) {
      if (keys.size() * k.values.size() > image_keys_max)
        continue;
      mask |= 1U << k.pcr;
      std::vector<std::uint64_t> longer;
      for (const auto key : keys)
        for (const auto v : k.values)
          longer.push_back(mixed(key ^ v));
      keys = std::move(longer);
    }
    std::uint32_t sets = 0;
    for (const auto& s : image->sets)
      sets |= 1U << s.pcr;
    auto at = std::find_if(on.groups.begin(), on.groups.end(), [&](const group& g) {
      return g.bank == image->bank && g.needed == image->needed && g.keyed == mask &&
             g.sets == sets;
    });
    if (at == on.groups.end())
      at = on.groups.insert(at, group{image->bank, image->needed, mask, sets, {}, {}});
    for (const auto key : keys)
      at->images[key].push_back(position);
  }
  on.images.push_back(std::move(image));
}

void image_index::list_digests(shelf& on) {
  for (auto& g : on.groups) {
    if (g.sets == 0)
      continue;
    for (const auto& [key, positions] : g.images) {
      if (positions.size() <= images_to_scan_max)
        continue;
      for (const auto position : positions)
        for (const auto& set : on.images[position]->sets)
          for (const auto digest : set.digests)
            g.by_digest[digest_key(key, g.bank, set.pcr, digest)].push_back(position);
    }
  }
}

image_index::image_index(object_index<base_image> images, const image_index* before)
    : images_(std::move(images)) {
  const auto known = [before](const std::string& name, const image_ptr& image) -> filed_ptr {
    if (before == nullptr)
      return nullptr;
    const auto& all = (image->audit_only ? before->audited_ : before->enforced_).images;
    const auto at = std::lower_bound(all.begin(), all.end(), name,
                                     [](const filed_ptr& f, const auto& n) { return f->name < n; });
    return at != all.end() && (*at)->image == image ? *at : nullptr;
  };
  for (auto i = images_.begin(); i != images_.end(); ++i) {
    const auto& name = (*i).first;
    auto filed = known(name, i.shared());
    if (!filed)
      filed = file(name, i.shared());
    if (!filed)
      continue; // of a bank or PCR that we do not know: nothing can match it
    auto& on = filed->image->audit_only ? audited_ : enforced_;
    put(on, std::move(filed));
  }
  list_digests(enforced_);
  list_digests(audited_);
}

image_index::~image_index() = default;

/// One boot against the images of one shelf.
class image_index::finder {
public:
  finder(const shelf& on, const boot_evidence& boot) : on_(on), boot_(boot) {}

  [[nodiscard]] const filed_image& at(std::uint32_t position) const {
    return *on_.images[position];
  }

  /// Positions of all images that may match, by name.
  std::vector<std::uint32_t> candidates() {
    std::vector<std::uint32_t> out;
    for (const auto& g : on_.groups) {
      const auto* const quoted = judged_bank(g.bank, g.needed);
      if (quoted == nullptr)
        continue;
      auto key = seed;
      for (std::uint32_t pcr = 0; pcr < eventlog::pcrs_max; ++pcr)
        if (has(g.keyed, pcr))
          key = mixed(key ^ beginning(quoted->values.at(pcr)));
      const auto found = g.images.find(key);
      if (found == g.images.end())
        continue;
      const auto* const positions = narrowed(g, key, found->second);
      if (positions != nullptr)
        std::copy_if(positions->begin(), positions->end(), std::back_inserter(out),
                     [&](std::uint32_t position) { return sets_allow(at(position)); });
    }
    std::sort(out.begin(), out.end());
    return out;
  }

  /// The complete comparison. Only for images that judged_bank() lets through.
  [[nodiscard]] std::optional<mismatch> compare(const filed_image& f) const {
    return match_image(*f.image, *find_bank(boot_.banks, f.bank), boot_.log,
                       *boot_.replayed.find(f.bank));
  }

  /// Positions of the images that share most PCR values with the boot, by name.
  [[nodiscard]] std::vector<std::uint32_t> near() const {
    std::unordered_map<std::uint32_t, std::uint32_t> shared;
    std::size_t steps = nearest_steps_max;
    for (const auto* const list : sharing()) { // a value that few have says most: the rare first
      for (const auto position : *list) {
        if (steps == 0)
          break;
        --steps;
        ++shared[position];
      }
    }
    std::vector<std::pair<std::uint32_t, std::uint32_t>> ranked;
    for (const auto& [position, values] : shared)
      if (can_be_judged(at(position)))
        ranked.emplace_back(values, position);
    std::sort(ranked.begin(), ranked.end(), [](const auto& a, const auto& b) {
      return a.first != b.first ? a.first > b.first : a.second < b.second;
    });
    if (ranked.size() > nearest_images_max)
      ranked.resize(nearest_images_max);
    std::vector<std::uint32_t> out;
    for (const auto& r : ranked)
      out.push_back(r.second);
    std::size_t looked_at = 0;
    for (std::uint32_t i = 0;
         i < on_.images.size() && out.size() < nearest_images_max && looked_at < nearest_steps_max;
         ++i, ++looked_at)
      if (shared.count(i) == 0 && can_be_judged(at(i)))
        out.push_back(i);
    std::sort(out.begin(), out.end());
    return out;
  }

  [[nodiscard]] bool can_be_judged(const filed_image& f) const {
    return f.judges && judged_bank(f.bank, f.needed) != nullptr;
  }

private:
  /// The bank, if everything that is needed of it was quoted and replayed.
  [[nodiscard]] const quoted_bank* judged_bank(crypto::hash_alg alg, std::uint32_t needed) const {
    const auto* const quoted = find_bank(boot_.banks, alg);
    const bool complete =
        quoted != nullptr && (needed & ~quoted->mask) == 0 && boot_.replayed.find(alg) != nullptr;
    return complete ? quoted : nullptr;
  }

  /// Lists of the images that have a value that was quoted, the shortest first.
  [[nodiscard]] std::vector<const std::vector<std::uint32_t>*> sharing() const {
    std::vector<const std::vector<std::uint32_t>*> out;
    for (const auto& b : boot_.banks)
      for (std::uint32_t pcr = 0; pcr < eventlog::pcrs_max; ++pcr) {
        if (!has(b.mask, pcr))
          continue;
        const auto found = on_.by_value.find(value_key(b.alg, pcr, beginning(b.values.at(pcr))));
        if (found != on_.by_value.end())
          out.push_back(&found->second);
      }
    std::stable_sort(out.begin(), out.end(),
                     [](const auto* a, const auto* b) { return a->size() < b->size(); });
    return out;
  }

  /// Of many images with the same key: those that have the digest which fewest have. Null: none.
  const std::vector<std::uint32_t>* narrowed(const group& g, std::uint64_t key,
                                             const std::vector<std::uint32_t>& all) {
    const auto* out = &all;
    if (g.sets == 0 || all.size() <= images_to_scan_max)
      return out;
    for (std::uint32_t pcr = 0; pcr < eventlog::pcrs_max; ++pcr) {
      if (!has(g.sets, pcr))
        continue;
      for (const auto digest : measured(g.bank, pcr)) {
        const auto having = g.by_digest.find(digest_key(key, g.bank, pcr, digest));
        if (having == g.by_digest.end())
          return nullptr;
        if (having->second.size() < out->size())
          out = &having->second;
      }
    }
    return out;
  }

  /// False only if some event is in no set of the image: found out without an explanation, since
  /// many images may share all other values.
  bool sets_allow(const filed_image& f) {
    return std::all_of(f.sets.begin(), f.sets.end(), [&](const auto& set) {
      const auto& found = measured(f.bank, set.pcr);
      return std::all_of(found.begin(), found.end(), [&](std::uint64_t digest) {
        return std::binary_search(set.digests.begin(), set.digests.end(), digest);
      });
    });
  }

  /// What the log says of a PCR, read when it is first needed.
  const std::vector<std::uint64_t>& measured(crypto::hash_alg alg, std::uint32_t pcr) {
    const auto [at, fresh] = measured_.try_emplace(value_key(alg, pcr, 0));
    if (fresh)
      for (const auto& e : boot_.log.events)
        if (e.pcr == pcr && e.type != eventlog::event_type::no_action)
          at->second.push_back(beginning(boot_.log.digest(e, alg)));
    return at->second;
  }

  const shelf& on_;
  const boot_evidence& boot_;
  std::unordered_map<std::uint64_t, std::vector<std::uint64_t>> measured_;
};

result<void> image_index::check_selection(std::span<const quoted_bank> banks) const {
  for (const auto& g : enforced_.groups) {
    const auto* const bank = find_bank(banks, g.bank);
    if (bank != nullptr && (g.needed & ~bank->mask) == 0)
      return {};
  }
  if (enforced_.images.empty())
    return {};
  const auto& first = *enforced_.images.front();
  const auto* const bank = find_bank(banks, first.bank);
  const auto missing = first.needed & ~(bank == nullptr ? 0 : bank->mask);
  if (missing == 0) // it was quoted, but the image can never match
    return {};
  std::uint32_t pcr = 0;
  while (!has(missing, pcr))
    ++pcr;
  auto failed = field_error(errc::attestation_failed, "/quote",
                            "the quote does not cover PCR " + std::to_string(pcr) + " in bank " +
                                first.image->bank + ", which base image " + first.name + " needs");
  failed.check = "pcr-selection";
  failed.pcr = pcr;
  return failed;
}

image_outcome image_index::find(const boot_evidence& boot, const demand_check& also) const {
  finder search(enforced_, boot);
  std::optional<image_outcome> refused;
  for (const auto position : search.candidates()) {
    const auto& f = search.at(position);
    if (search.compare(f))
      continue;
    auto demands = also ? also(*f.image) : result<void>();
    if (demands)
      return {f.image, std::nullopt};
    if (!refused)
      refused = image_outcome{f.image, std::move(demands).failure()};
  }
  if (refused)
    return *std::move(refused);
  image_outcome nearest;
  std::size_t furthest = 0;
  for (const auto position : search.near()) {
    const auto& f = search.at(position);
    auto m = search.compare(f);
    if (!m || (nearest.image && m->matched_events <= furthest))
      continue;
    furthest = m->matched_events;
    nearest = {f.image, std::move(m->why)};
  }
  if (!nearest.image) {
    nearest.why = make_error(errc::attestation_failed,
                             "no base image is configured that this host could match");
    nearest.why->check = "base-image";
  }
  return nearest;
}

std::vector<image_ptr> image_index::matching(const boot_evidence& boot, const demand_check& also,
                                             std::size_t images_max) const {
  finder search(enforced_, boot);
  std::vector<image_ptr> out;
  for (const auto position : search.candidates()) {
    if (out.size() == images_max)
      break;
    const auto& f = search.at(position);
    if (!search.compare(f) && (!also || also(*f.image)))
      out.push_back(f.image);
  }
  return out;
}

std::vector<image_ptr> image_index::worth_explaining(const boot_evidence& boot,
                                                     std::size_t images_max) const {
  std::vector<image_ptr> out;
  const auto add = [&](const image_ptr& image) {
    if (out.size() < images_max && std::find(out.begin(), out.end(), image) == out.end())
      out.push_back(image);
  };
  for (const auto* const on : {&enforced_, &audited_}) {
    finder search(*on, boot);
    for (const auto position : search.candidates())
      if (out.size() < images_max && !search.compare(search.at(position)))
        add(search.at(position).image);
  }
  for (const auto* const on : {&enforced_, &audited_}) {
    const finder search(*on, boot);
    for (const auto position : search.near())
      add(search.at(position).image);
  }
  return out;
}

image_audit image_index::audit(const boot_evidence& boot, const demand_check& also) const {
  image_audit out;
  out.images = audited_.images.size();
  if (out.images == 0)
    return out;
  finder search(audited_, boot);
  const auto found = search.candidates();
  std::size_t compared = 0;
  for (std::uint32_t i = 0, next = 0; i < audited_.images.size(); ++i) {
    const auto& f = search.at(i);
    bool matches = false;
    if (next < found.size() && found[next] == i) {
      ++next;
      if (compared == listed_images_max)
        continue; // neither is said of it
      ++compared;
      matches = !search.compare(f) && (!also || also(*f.image));
    } else if (out.differing.size() == listed_images_max && next == found.size()) {
      break;
    }
    auto& list = matches ? out.matching : out.differing;
    if (list.size() < listed_images_max)
      list.push_back(f.image);
  }
  return out;
}

std::shared_ptr<const image_index> image_index_source::of(const object_index<base_image>& images) {
  const std::lock_guard guard(mutex_);
  if (!present_ || !present_->is_of(images))
    present_ = std::make_shared<const image_index>(images, present_.get());
  return present_;
}

} // namespace custos::attestation
