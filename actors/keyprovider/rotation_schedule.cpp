#include "actors/keyprovider/rotation_schedule.hpp"

#include <algorithm>
#include <utility>

namespace custos::keyprovider {

namespace {

constexpr std::int64_t day_s = 24 * 3600;

const native_key* newest(const key_provider& provider) {
  const auto found =
      std::max_element(provider.primary_keys.begin(), provider.primary_keys.end(),
                       [](const auto& a, const auto& b) { return a.created < b.created; });
  return found == provider.primary_keys.end() ? nullptr : &*found;
}

} // namespace

rotation_step next_step(const key_provider& provider, std::int64_t now) {
  const std::int64_t interval_s = provider.rotation.interval_days * day_s;
  if (interval_s == 0 || provider.primary_key_id.empty())
    return rotation_step::none;
  const auto due = [&](std::int64_t since) { return now >= since && now - since >= interval_s; };
  if (provider.type == provider_type::native) {
    const auto* const last = newest(provider);
    return last != nullptr && last->backed_up && due(last->created) ? rotation_step::make
                                                                    : rotation_step::none;
  }
  if (provider.rotation.key != provider.primary_key_id || provider.rotation.since == 0)
    return rotation_step::count;
  return due(provider.rotation.since) ? rotation_step::make : rotation_step::none;
}

std::string waits_for(const key_provider& provider) {
  const auto* const last = newest(provider);
  if (last == nullptr || last->backed_up)
    return {};
  return "primary key " + last->id + " waits for a backup that is confirmed";
}

key_provider counting(key_provider provider, std::int64_t now) {
  provider.rotation.key = provider.primary_key_id;
  provider.rotation.since = std::max<std::int64_t>(now, 1);
  return provider;
}

key_provider with_primary_key(key_provider provider, const std::string& id, std::int64_t now) {
  provider.primary_key_id = id;
  return counting(std::move(provider), now);
}

key_provider with_native_key(key_provider provider, native_key key) {
  // Newer than the others even where clocks differ.
  if (const auto* const last = newest(provider); last != nullptr)
    key.created = std::max(key.created, last->created + 1);
  provider.primary_keys.push_back(std::move(key));
  return provider;
}

} // namespace custos::keyprovider
