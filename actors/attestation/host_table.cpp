#include "actors/attestation/host_table.hpp"

#include <algorithm>

namespace custos::attestation {

namespace {

error clock_error(std::string message) {
  error e = field_error(errc::attestation_failed, "/quote", std::move(message));
  e.check = "clock";
  return e;
}

/// How far a count went on, modulo 2^32.
std::int32_t grown(std::uint32_t from, std::uint32_t to) {
  return static_cast<std::int32_t>(to - from);
}

/// What a clock says that comes after another one of the same AK.
result<void> compare(const host_record& before, const tpm::clock_info& now) {
  const auto resets = grown(before.reset_count, now.reset_count);
  if (resets < 0)
    return clock_error("the quote is of an earlier boot than one that was seen already");
  if (resets > 0)
    return {}; // a reboot: restarts begin anew, and the clock may have lost what was not saved
  const auto restarts = grown(before.restart_count, now.restart_count);
  if (restarts < 0)
    return clock_error("the quote is from before a restart of the TPM that was seen already");
  if (now.clock <= before.clock) {
    auto e = clock_error("the TPM's clock did not go on since the last quote");
    e.retryable = true; // two quotes may have overtaken each other
    return e;
  }
  return {};
}

void shorten(host_verdict& v) {
  if (v.message.size() > verdict_message_bytes_max)
    v.message.resize(verdict_message_bytes_max);
  if (v.findings.size() > verdict_lists_max)
    v.findings.resize(verdict_lists_max);
  for (auto& f : v.findings)
    if (f.message.size() > verdict_message_bytes_max)
      f.message.resize(verdict_message_bytes_max);
  if (v.watched_images.size() > verdict_lists_max)
    v.watched_images.resize(verdict_lists_max);
}

} // namespace

std::optional<host_record> host_table::find(std::string_view host) const {
  const auto& s = of(host);
  const std::lock_guard guard(s.mutex);
  const auto found = s.hosts.find(host);
  return found == s.hosts.end() ? std::nullopt : std::optional(found->second.record);
}

std::vector<host_record> host_table::list(const list_host_records& page) const {
  std::vector<std::string> names;
  for (const auto& s : stripes_) {
    const std::lock_guard guard(s.mutex);
    for (const auto& [name, e] : s.hosts)
      if (name > page.after)
        names.push_back(name);
  }
  const auto count = std::min<std::size_t>(names.size(), page.hosts_max);
  std::partial_sort(names.begin(), names.begin() + static_cast<std::ptrdiff_t>(count), names.end());
  names.resize(count);
  std::vector<host_record> out;
  for (const auto& name : names)
    if (auto record = find(name)) // it may have been forgotten meanwhile
      out.push_back(*std::move(record));
  return out;
}

std::optional<host_standing> host_table::standing(std::string_view host) const {
  const auto& s = of(host);
  const std::lock_guard guard(s.mutex);
  const auto found = s.hosts.find(host);
  if (found == s.hosts.end())
    return std::nullopt;
  const auto& r = found->second.record;
  return host_standing{r.ak_name, r.reset_count, r.first_seen_in_boot, r.failed_since,
                       r.restart_count};
}

std::optional<ima_state> host_table::ima_of(std::string_view host) const {
  const auto& s = of(host);
  const std::lock_guard guard(s.mutex);
  const auto found = s.hosts.find(host);
  return found == s.hosts.end() ? std::nullopt : found->second.ima;
}

std::size_t host_table::size() const {
  return size_.load(std::memory_order_relaxed);
}

std::int64_t host_table::last_attested() const {
  return last_attested_.load(std::memory_order_relaxed);
}

std::map<std::string, std::int64_t> host_table::images_last_attested() const {
  const std::lock_guard guard(images_mutex_);
  return images_;
}

void host_table::saw_image(const host_verdict& verdict) {
  const std::lock_guard guard(images_mutex_);
  auto& at = images_[verdict.image];
  at = std::max(at, verdict.at);
}

host_table::entry* host_table::make(stripe& s, const host_id& host) {
  if (const auto found = s.hosts.find(host); found != s.hosts.end())
    return &found->second;
  if (size_.fetch_add(1, std::memory_order_relaxed) >= known_hosts_max) {
    size_.fetch_sub(1, std::memory_order_relaxed);
    return nullptr;
  }
  auto& e = s.hosts[host];
  e.record.host = host;
  return &e;
}

result<void> host_table::see_clock(const host_id& host, byte_view ak_name,
                                   const tpm::clock_info& clock, bool require_safe,
                                   std::int64_t now) {
  if (require_safe && !clock.safe)
    return clock_error("the TPM's clock is not safe: it was not shut down in order, and says so "
                       "until it has run for up to 70 minutes");
  auto& s = of(host);
  const std::lock_guard guard(s.mutex);
  auto* const e = make(s, host);
  if (e == nullptr) {
    auto full = make_error(errc::overloaded, "too many hosts are known to this node");
    full.retry_after_s = 60;
    return full;
  }
  auto& r = e->record;
  const bool same_key =
      std::equal(r.ak_name.begin(), r.ak_name.end(), ak_name.begin(), ak_name.end());
  if (same_key)
    CUSTOS_CHECK(compare(r, clock));
  else
    r.ak_name = to_bytes(ak_name);
  const bool rebooted = !same_key || r.reset_count != clock.reset_count;
  if (rebooted)
    r.first_seen_in_boot = now;
  // A sleep may have cost the TPM its PCRs (CVE-2018-6622): IMA is judged from its start again.
  if (rebooted || r.restart_count != clock.restart_count)
    e->ima.reset();
  r.clock = clock.clock;
  r.reset_count = clock.reset_count;
  r.restart_count = clock.restart_count;
  return {};
}

void host_table::settle(const host_id& host, host_verdict verdict) {
  shorten(verdict);
  auto& s = of(host);
  const std::lock_guard guard(s.mutex);
  auto* const e = make(s, host);
  if (e == nullptr)
    return; // see_clock refused the host
  auto& r = e->record;
  if (verdict.accepted) {
    saw_image(verdict);
    r.last_attested = verdict.at;
    r.failed_since = 0;
    last_attested_.store(std::max(last_attested(), verdict.at), std::memory_order_relaxed);
  } else if (verdict.authentic && !verdict.retryable) {
    r.failed_since = verdict.at;
  }
  r.last = std::move(verdict);
}

void host_table::remember_ima(const host_id& host, ima_state state) {
  auto& s = of(host);
  const std::lock_guard guard(s.mutex);
  if (auto* const e = make(s, host); e != nullptr)
    e->ima = std::move(state);
}

bool host_table::is_new_evidence(const host_id& host, byte_view sha256) {
  auto& s = of(host);
  const std::lock_guard guard(s.mutex);
  auto* const e = make(s, host);
  if (e == nullptr)
    return false;
  auto& kept = e->record.evidence_sha256;
  if (std::equal(kept.begin(), kept.end(), sha256.begin(), sha256.end()))
    return false;
  kept = to_bytes(sha256);
  return true;
}

void host_table::drop_evidence(std::string_view host) {
  auto& s = of(host);
  const std::lock_guard guard(s.mutex);
  if (const auto found = s.hosts.find(host); found != s.hosts.end())
    found->second.record.evidence_sha256.clear();
}

void host_table::restore(host_record record) {
  auto& s = of(record.host);
  const std::lock_guard guard(s.mutex);
  if (auto* const e = make(s, record.host); e != nullptr) {
    last_attested_.store(std::max(last_attested(), record.last_attested),
                         std::memory_order_relaxed);
    if (record.last.accepted)
      saw_image(record.last);
    e->record = std::move(record);
  }
}

void host_table::forget(std::string_view host) {
  auto& s = of(host);
  const std::lock_guard guard(s.mutex);
  const auto found = s.hosts.find(host);
  if (found == s.hosts.end())
    return;
  s.hosts.erase(found);
  size_.fetch_sub(1, std::memory_order_relaxed);
}

} // namespace custos::attestation
