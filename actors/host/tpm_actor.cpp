#include "actors/host/tpm_actor.hpp"

#include "messages/caf_error.hpp"

#include <fcntl.h>
#include <fstream>
#include <unistd.h>

namespace custos::host {

namespace {

constexpr std::size_t ak_file_bytes_max = 8192;

result<bytes> read_file(const std::filesystem::path& file, std::size_t bytes_max,
                        const char* what) {
  std::ifstream in(file, std::ios::binary);
  if (!in)
    return make_error(errc::not_found, std::string(what) + " cannot be read: " + file.string());
  bytes out;
  std::array<char, 65536> part{};
  // sysfs files have no size: read until the end, not beyond the limit.
  while (in.read(part.data(), part.size()), in.gcount() > 0) {
    if (out.size() + static_cast<std::size_t>(in.gcount()) > bytes_max)
      return make_error(errc::too_large, std::string(what) + " is larger than " +
                                             std::to_string(bytes_max) +
                                             " bytes: " + file.string());
    out.insert(out.end(), part.data(), part.data() + in.gcount());
  }
  if (in.bad()) // what was read is not the whole
    return make_error(errc::io_failure, std::string(what) + " cannot be read: " + file.string());
  return out;
}

/// length(2, big-endian) || TPM2B_PUBLIC || TPM2B_PRIVATE. Wrapped by the TPM: no secret outside
/// it.
result<void> save_ak(const std::filesystem::path& file, const tpm::ak_blob& ak) {
  bytes out{static_cast<std::uint8_t>(ak.public_area.size() >> 8U),
            static_cast<std::uint8_t>(ak.public_area.size() & 0xFFU)};
  out.insert(out.end(), ak.public_area.begin(), ak.public_area.end());
  out.insert(out.end(), ak.private_area.begin(), ak.private_area.end());
  const auto fresh = file.string() + ".new";
  const int fd = ::open(fresh.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
  const bool written = fd >= 0 &&
                       ::write(fd, out.data(), out.size()) == static_cast<ssize_t>(out.size()) &&
                       ::fsync(fd) == 0;
  if (fd >= 0)
    ::close(fd);
  if (!written || ::rename(fresh.c_str(), file.c_str()) != 0)
    return make_error(errc::storage_failure,
                      "the attestation key cannot be kept in " + file.string());
  return {};
}

result<tpm::ak_blob> load_ak(const std::filesystem::path& file) {
  CUSTOS_TRY(const auto data, read_file(file, ak_file_bytes_max, "attestation key"));
  if (data.size() < 2)
    return make_error(errc::corrupted, "the kept attestation key is cut short");
  const std::size_t size = (std::size_t{data[0]} << 8U) | data[1];
  if (size + 2 >= data.size())
    return make_error(errc::corrupted, "the kept attestation key is cut short");
  const auto split = data.begin() + 2 + static_cast<std::ptrdiff_t>(size);
  return tpm::ak_blob{bytes(data.begin() + 2, split), bytes(split, data.end())};
}

class tpm_actor : public tpm_api::base {
public:
  tpm_actor(caf::actor_config& config, tpm_options options)
      : tpm_api::base(config), options_(std::move(options)) {
    set_default_handler(caf::drop);
  }
  const char* name() const override { return "tpm"; }

  tpm_api::behavior_type make_behavior() override {
    return {
        [this](const get_tpm_identity&) { return answer(identity()); },
        [this](const activate_credential& c) { return answer(activate(c)); },
        [this](const make_quote& q) { return answer(quote(q)); },
    };
  }

private:
  template <class T>
  caf::result<T> answer(result<T> r) {
    if (!r && r.failure().code == errc::tpm_failure)
      device_.reset(); // whatever it was, begin anew
    return to_caf(std::move(r));
  }

  result<tpm::host_tpm*> device() {
    if (!device_) {
      CUSTOS_TRY(device_, tpm::host_tpm::open(options_.tcti));
    }
    return device_.get();
  }

  /// The kept key if this TPM still loads it, else a new one.
  result<void> prepare_ak(tpm::host_tpm& device) {
    if (!ak_.public_area.empty())
      return {};
    if (auto kept = load_ak(options_.ak_file); kept)
      if (device.quote(*kept, options_.pcrs, {}).ok()) {
        ak_ = *std::move(kept);
        return {};
      }
    CUSTOS_TRY(auto fresh, device.create_ak(options_.ak));
    CUSTOS_CHECK(save_ak(options_.ak_file, fresh));
    ak_ = std::move(fresh);
    return {};
  }

  result<tpm_identity> identity() {
    CUSTOS_TRY(auto* const d, device());
    CUSTOS_CHECK(prepare_ak(*d));
    tpm_identity out;
    auto certificate = d->ek_certificate();
    if (certificate)
      out.ek_certificate = *std::move(certificate);
    else if (certificate.failure().code != errc::not_found)
      return certificate.failure();
    CUSTOS_TRY(out.ek_public, d->ek_public());
    CUSTOS_TRY(out.ak_public, tpm::host_tpm::ak_public(ak_));
    return out;
  }

  result<credential_activated> activate(const activate_credential& c) {
    CUSTOS_TRY(auto* const d, device());
    CUSTOS_CHECK(prepare_ak(*d));
    CUSTOS_TRY(auto secret, d->activate_credential(ak_, c.credential_blob, c.encrypted_secret));
    return credential_activated{std::make_shared<const crypto::secret_bytes>(std::move(secret))};
  }

  result<quote_made> quote(const make_quote& q) {
    CUSTOS_TRY(auto* const d, device());
    CUSTOS_CHECK(prepare_ak(*d));
    quote_made out;
    CUSTOS_TRY(auto quoted, d->quote(ak_, options_.pcrs, q.qualifying_data));
    out.quote = std::move(quoted.quote);
    out.signature = std::move(quoted.signature);
    out.pcrs = std::move(quoted.pcrs);
    CUSTOS_TRY(out.event_log, read_event_log(options_.event_log));
    return out;
  }

  tpm_options options_;
  std::unique_ptr<tpm::host_tpm> device_;
  tpm::ak_blob ak_;
};

} // namespace

tpm_api spawn_tpm(caf::actor_system& system, tpm_options options) {
  return system.spawn<tpm_actor, caf::detached>(std::move(options));
}

result<bytes> read_event_log(const std::filesystem::path& file) {
  return read_file(file, event_log_bytes_max, "boot event log");
}

} // namespace custos::host
