#include "actors/keyprovider/recipients.hpp"

#include <algorithm>
#include <utility>

namespace custos::keyprovider {

bool recipients::may_serve(const agreement& a, std::int64_t now) const {
  const auto age = now - a.made;
  // A clock set back makes the age unknown.
  return age >= 0 && age <= std::int64_t{limits_.agreement_age_s_max} &&
         a.uses < limits_.agreement_uses_max;
}

void recipients::make_room() {
  while (!order_.empty() && agreements_.size() >= limits_.agreements_max) {
    agreements_.erase(order_.front());
    order_.pop_front();
  }
}

result<std::string> recipients::encrypt(const crypto::key& transport_key, const std::string& kid,
                                        byte_view plaintext, std::int64_t now) {
  auto found = agreements_.find(kid);
  if (found == agreements_.end() || !may_serve(found->second, now)) {
    CUSTOS_TRY(auto with, jose::recipient::agree(transport_key, kid));
    if (found != agreements_.end()) {
      agreements_.erase(found);
      std::erase(order_, kid);
    }
    make_room();
    found = agreements_.emplace(kid, agreement{std::move(with), now, 0}).first;
    order_.push_back(kid);
  }
  ++found->second.uses;
  return found->second.with.encrypt(plaintext);
}

void recipients::sweep(std::int64_t now) {
  std::erase_if(order_, [&](const auto& kid) {
    const auto found = agreements_.find(kid);
    if (may_serve(found->second, now))
      return false;
    agreements_.erase(found);
    return true;
  });
}

} // namespace custos::keyprovider
