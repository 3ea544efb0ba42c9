#include "actors/host/ak_keeper.hpp"

#include "actors/host/files.hpp"

#include <algorithm>
#include <array>
#include <charconv>

namespace custos::host {

namespace {

constexpr std::size_t ak_file_bytes_max = 8192;
constexpr std::size_t name_file_bytes_max = 256;
/// magic || SHA-256 of the rest || length(2, big-endian) || TPM2B_PUBLIC || TPM2B_PRIVATE
constexpr std::array<std::uint8_t, 4> magic{'C', 'A', 'K', '2'};
constexpr std::size_t digest_bytes = 32;

std::filesystem::path beside(const std::filesystem::path& file, const char* ending) {
  return file.string() + ending;
}

std::string hex_handle(std::uint32_t handle) {
  std::array<char, 8> digits{};
  const auto end = std::to_chars(digits.data(), digits.data() + digits.size(), handle, 16);
  return "0x" + std::string(digits.data(), end.ptr);
}

result<std::optional<tpm::ak_blob>> parts_of(byte_view data) {
  const auto damaged = [] {
    return make_error(errc::corrupted, "the file of the attestation key is damaged");
  };
  if (data.size() >= magic.size() && std::equal(magic.begin(), magic.end(), data.begin())) {
    data = data.subspan(magic.size());
    if (data.size() < digest_bytes ||
        !crypto::equal(crypto::sha256(data.subspan(digest_bytes)), data.first(digest_bytes)))
      return damaged();
    data = data.subspan(digest_bytes);
  } // else: as the first version wrote it
  if (data.size() < 2)
    return damaged();
  const std::size_t size = (std::size_t{data[0]} << 8U) | data[1];
  data = data.subspan(2);
  if (size == 0 || size > data.size())
    return damaged();
  tpm::ak_blob out{to_bytes(data.first(size)), to_bytes(data.subspan(size)), 0};
  if (!ak_name_of(out))
    return damaged();
  return std::optional<tpm::ak_blob>(std::move(out));
}

result<tpm::public_area> area_of(const bytes& public_area) {
  return tpm::parse_public(public_area);
}

class keeper {
public:
  keeper(tpm::ak_device& device, const ak_options& options, const say_function& say)
      : device_(device), options_(options), say_(say) {}

  result<tpm::ak_blob> keep() {
    auto kept = read_ak_file(options_.file);
    if (!kept && kept.failure().code != errc::corrupted)
      return kept.failure();
    if (options_.handle != 0) {
      CUSTOS_TRY(at_handle_, device_.persistent_public(options_.handle));
    }
    if (kept && *kept)
      return use(**std::move(kept));
    if (!kept)
      say("host.ak_file_damaged", kept.failure().message + ": " + options_.file.string());
    return without_file(!kept);
  }

private:
  void say(const char* event, const std::string& detail) const {
    if (say_)
      say_(event, detail);
  }

  result<tpm::ak_blob> use(tpm::ak_blob ak) {
    compare_algorithm(ak);
    if (at_handle_ && *at_handle_ == ak.public_area) {
      ak.handle = options_.handle;
      return ak;
    }
    const auto loads = load(ak);
    if (!loads && loads.failure().code != errc::corrupted &&
        loads.failure().code != errc::malformed)
      return loads.failure(); // the TPM is away or busy: that says nothing about the key
    if (!loads) {
      say("host.ak_lost",
          loads.failure().message +
              ". A new attestation key is made; nodes refuse it until an administrator removes "
              "this host's binding");
      CUSTOS_CHECK(put_aside(".lost"));
      return make();
    }
    return at_handle(std::move(ak));
  }

  result<void> load(const tpm::ak_blob& ak) {
    if (ak.private_area.empty())
      return make_error(errc::corrupted, "the TPM no longer holds the attestation key, and the "
                                         "file has no copy of it");
    return device_.try_load(ak);
  }

  result<tpm::ak_blob> without_file(bool damaged) {
    if (at_handle_) {
      auto area = area_of(*at_handle_);
      const auto alg = area ? tpm::ak_algorithm_of_key(*area) : std::nullopt;
      const bool ours = area && recorded_name() == crypto::hex(area->name);
      if (alg && (*alg == options_.algorithm || (damaged && ours))) {
        say("host.ak_taken_over", "the attestation key at " + hex_handle(options_.handle) +
                                      " is used on; it has no copy in a file");
        if (damaged)
          CUSTOS_CHECK(put_aside(".damaged"));
        tpm::ak_blob ak{*at_handle_, {}, options_.handle};
        CUSTOS_CHECK(save(ak));
        return ak;
      }
      if (ours && !damaged) { // another algorithm is wanted, and the file was taken away for it
        CUSTOS_CHECK(device_.evict(options_.handle));
        at_handle_.reset();
      }
    }
    if (damaged)
      CUSTOS_CHECK(put_aside(".damaged"));
    return make();
  }

  result<tpm::ak_blob> make() {
    CUSTOS_TRY(auto fresh, device_.create_ak(options_.algorithm));
    CUSTOS_CHECK(save(fresh));
    CUSTOS_TRY(const auto name, ak_name_of(fresh));
    say("host.ak_made", "a new attestation key was made: " + crypto::hex(name));
    return at_handle(std::move(fresh));
  }

  /// Puts the key at the handle if that is free. Without it the key is loaded from the file.
  result<tpm::ak_blob> at_handle(tpm::ak_blob ak) {
    if (options_.handle == 0)
      return ak;
    if (at_handle_) {
      say("host.ak_handle_taken", "another key is at " + hex_handle(options_.handle) +
                                      ": the attestation key is kept in its file only");
      return ak;
    }
    if (auto kept = device_.make_persistent(ak, options_.handle); !kept)
      say("host.ak_handle_failed",
          kept.failure().message + "; the attestation key is kept in its file only");
    else
      ak.handle = options_.handle;
    return ak;
  }

  void compare_algorithm(const tpm::ak_blob& ak) const {
    const auto area = area_of(ak.public_area);
    const auto alg = area ? tpm::ak_algorithm_of_key(*area) : std::nullopt;
    if (!alg || *alg != options_.algorithm)
      say("host.ak_algorithm", "the kept attestation key is of another algorithm than " +
                                   std::string(tpm::to_string(options_.algorithm)) +
                                   "; it is used on until " + options_.file.string() +
                                   " is removed");
  }

  result<void> save(const tpm::ak_blob& ak) const {
    CUSTOS_TRY(const auto name, ak_name_of(ak));
    CUSTOS_CHECK(
        replace_file(beside(options_.file, ".name"), as_bytes(crypto::hex(name) + "\n"), 0600));
    return write_ak_file(options_.file, ak);
  }

  [[nodiscard]] std::string recorded_name() const {
    const auto text = read_file(beside(options_.file, ".name"), name_file_bytes_max, "AK name");
    if (!text)
      return {};
    auto out = std::string(as_text(*text));
    while (!out.empty() && out.back() == '\n')
      out.pop_back();
    return out;
  }

  result<void> put_aside(const char* ending) const {
    std::error_code failed;
    std::filesystem::rename(options_.file, beside(options_.file, ending), failed);
    if (failed)
      return make_error(errc::storage_failure,
                        options_.file.string() + " cannot be put aside: " + failed.message());
    return {};
  }

  tpm::ak_device& device_;
  const ak_options& options_;
  const say_function& say_;
  std::optional<bytes> at_handle_; ///< TPM2B_PUBLIC of what is at the handle
};

} // namespace

result<std::uint32_t> read_ak_handle(std::string_view text) {
  if (text == "none")
    return 0U;
  std::uint32_t handle = 0;
  const bool prefixed = text.size() > 2 && text[0] == '0' && (text[1] == 'x' || text[1] == 'X');
  const auto digits = prefixed ? text.substr(2) : std::string_view();
  const auto parsed = std::from_chars(digits.data(), digits.data() + digits.size(), handle, 16);
  if (!prefixed || parsed.ec != std::errc{} || parsed.ptr != digits.data() + digits.size() ||
      handle < ak_handle_min || handle > ak_handle_max)
    return field_error(errc::invalid_argument, "--ak-handle",
                       "expected none or a persistent handle, 0x81000000 - 0x817fffff");
  return handle;
}

result<tpm::ak_blob> keep_ak(tpm::ak_device& device, const ak_options& options,
                             const say_function& say) {
  return keeper(device, options, say).keep();
}

result<bytes> ak_name_of(const tpm::ak_blob& ak) {
  CUSTOS_TRY(auto area, area_of(ak.public_area));
  return std::move(area.name);
}

result<std::optional<tpm::ak_blob>> read_ak_file(const std::filesystem::path& file) {
  const auto data = read_file(file, ak_file_bytes_max, "attestation key");
  if (data)
    return parts_of(*data);
  if (data.failure().code == errc::not_found)
    return std::optional<tpm::ak_blob>();
  if (data.failure().code == errc::too_large)
    return make_error(errc::corrupted, data.failure().message);
  return data.failure();
}

result<void> write_ak_file(const std::filesystem::path& file, const tpm::ak_blob& ak) {
  bytes body{static_cast<std::uint8_t>(ak.public_area.size() >> 8U),
             static_cast<std::uint8_t>(ak.public_area.size() & 0xFFU)};
  body.insert(body.end(), ak.public_area.begin(), ak.public_area.end());
  body.insert(body.end(), ak.private_area.begin(), ak.private_area.end());
  const auto digest = crypto::sha256(body);
  bytes out(magic.begin(), magic.end());
  out.insert(out.end(), digest.begin(), digest.end());
  out.insert(out.end(), body.begin(), body.end());
  return replace_file(file, out, 0600);
}

} // namespace custos::host
