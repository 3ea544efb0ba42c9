// measured-boot: plays firmware and boot loader on a TPM: extends PCRs and writes the TCG event
// log, event by event. Deterministic for given flags; a changed kernel changes PCRs 4, 8 and 9.

#include "adapters/eventlog/event_types.hpp"
#include "adapters/eventlog/writer.hpp"
#include "adapters/tpm/host_tpm.hpp"

#include <CLI/CLI.hpp>
#include <fstream>
#include <iostream>

namespace {

using namespace custos;
namespace type = eventlog::event_type;

constexpr std::array<std::uint8_t, 16> global_variable{
    0x61, 0xdf, 0xe4, 0x8b, 0xca, 0x93, 0xd2, 0x11, 0xaa, 0x0d, 0x00, 0xe0, 0x98, 0x03, 0x2b, 0x8c};
constexpr std::array<std::uint8_t, 16> image_security{
    0xcb, 0xb2, 0x19, 0xd7, 0x3a, 0x3d, 0x96, 0x45, 0xa3, 0xbc, 0xda, 0xd0, 0x0e, 0x67, 0x65, 0x6f};
/// Owner of all signatures.
constexpr eventlog::efi_guid fleet{0xF1, 0xEE, 0x7, 0, 0, 0, 0, 0x40, 0x80, 0, 0, 0, 0, 0, 0, 1};
constexpr std::string_view shim_signer = "certificate of the signer of shim";

class boot {
public:
  boot(tpm::host_tpm& device, const std::vector<crypto::hash_alg>& banks)
      : device_(device), log_(banks) {}

  /// The data itself is measured.
  void hashed(std::uint32_t pcr, std::uint32_t event, byte_view data) {
    extend(pcr, log_.add_hashed(pcr, event, data));
  }
  /// What is measured is elsewhere; the data describes it.
  void described(std::uint32_t pcr, std::uint32_t event, byte_view data, byte_view measured) {
    extend(pcr, log_.add_measured(pcr, event, data, measured));
  }
  void text(std::uint32_t pcr, std::uint32_t event, const std::string& data) {
    hashed(pcr, event, as_bytes(data));
  }
  void variable(std::uint32_t pcr, std::span<const std::uint8_t, 16> guid, const std::string& name,
                byte_view value) {
    hashed(pcr, type::efi_variable_driver_config, eventlog::make_uefi_variable(guid, name, value));
  }

  [[nodiscard]] const bytes& log() const { return log_.log(); }
  [[nodiscard]] const std::optional<error>& failure() const { return failure_; }

private:
  void extend(std::uint32_t pcr, const std::vector<bytes>& digests) {
    if (auto done = device_.extend(pcr, log_.banks(), digests); !done && !failure_)
      failure_ = done.failure();
  }

  tpm::host_tpm& device_;
  eventlog::writer log_;
  std::optional<error> failure_;
};

/// UEFI_IMAGE_LOAD_EVENT (TCG PC Client PFP 1.06, 10.2.3) of an image without a device path.
bytes image_load(std::uint64_t image_bytes) {
  bytes out;
  for (const std::uint64_t field :
       {std::uint64_t{0x7F000000}, image_bytes, std::uint64_t{0}, std::uint64_t{0}})
    for (unsigned shift = 0; shift < 64; shift += 8)
      out.push_back(static_cast<std::uint8_t>(field >> shift));
  return out;
}

/// A signature list of one certificate, for which a text stands.
bytes signers(std::string_view certificate) {
  return eventlog::make_signature_list(eventlog::signature_kind::x509, fleet,
                                       std::vector<bytes>{to_bytes(certificate)});
}

void firmware(boot& b) {
  const bytes version{'1', 0, '.', 0, '0', 0, 0, 0}; // UCS-2
  b.hashed(0, type::s_crtm_version, version);
  b.described(0, type::efi_platform_firmware_blob, bytes(16, 0x10),
              as_bytes("firmware volume 1.0"));
  b.text(1, type::platform_config_flags, "setup defaults");
  b.described(2, type::efi_boot_services_driver, image_load(65536),
              as_bytes("option rom of the network card"));
  b.text(3, type::platform_config_flags, "option rom configuration");
  b.text(6, type::compact_hash, "platform maker");
  b.variable(7, global_variable, "SecureBoot", bytes{1});
  b.variable(7, global_variable, "PK", signers("platform key of the fleet"));
  b.variable(7, global_variable, "KEK", signers("key exchange key of the fleet"));
  b.variable(7, image_security, "db", signers(shim_signer));
  b.variable(7, image_security, "dbx",
             eventlog::make_signature_list(eventlog::signature_kind::sha256, fleet,
                                           std::vector<bytes>{bytes(32, 0x0B), bytes(32, 0x5D)}));
  b.text(4, type::efi_action, "Calling EFI Application from Boot Option");
  for (std::uint32_t pcr = 0; pcr < 8; ++pcr)
    b.hashed(pcr, type::separator, bytes(4, 0));
}

void boot_loader(boot& b, const std::string& kernel) {
  b.described(4, type::efi_boot_services_application, image_load(957000), as_bytes("shim 15.8"));
  b.hashed(7, type::efi_variable_authority,
           eventlog::make_uefi_variable(image_security, "db",
                                        eventlog::make_signature(fleet, as_bytes(shim_signer))));
  b.text(14, type::ipl, "MokList");
  b.described(4, type::efi_boot_services_application, image_load(2680000), as_bytes("grub 2.12"));
  b.described(4, type::efi_boot_services_application,
              image_load(8150000 + kernel.size() * 1000 + static_cast<std::uint8_t>(kernel.back())),
              as_bytes("kernel image " + kernel));
  b.text(8, type::ipl, "grub_cmd: linux /boot/vmlinuz-" + kernel + " root=/dev/vda1 ro");
  b.text(8, type::ipl, "grub_cmd: initrd /boot/initrd-" + kernel);
  const std::string kernel_path = "/boot/vmlinuz-" + kernel;
  const std::string initrd_path = "/boot/initrd-" + kernel;
  b.described(9, type::ipl, as_bytes(kernel_path), as_bytes("kernel image " + kernel));
  b.described(9, type::ipl, as_bytes(initrd_path), as_bytes("initial ram disk " + kernel));
  b.text(5, type::efi_action, "Exit Boot Services Invocation");
  b.text(5, type::efi_action, "Exit Boot Services Returned with Success");
}

int fail(const error& e) {
  std::cerr << "measured-boot: " << e.message << "\n";
  return 1;
}

} // namespace

int main(int argc, char** argv) try {
  CLI::App app(
      "Extends a TPM's PCRs and writes the TCG event log as firmware and boot loader would",
      "measured-boot");
  std::string tcti = "swtpm:host=127.0.0.1,port=2321";
  std::string file = "binary_bios_measurements";
  std::string kernel = "6.1.0-1";
  app.add_option("--tcti", tcti, "The TPM, as tss2-tctildr takes it")->capture_default_str();
  app.add_option("--log", file, "Where the event log goes")->capture_default_str();
  app.add_option("--kernel", kernel, "Version of the kernel that boots")->capture_default_str();
  CLI11_PARSE(app, argc, argv);
  auto device = tpm::host_tpm::open(tcti);
  if (!device)
    return fail(device.failure());
  auto banks = (*device)->active_banks();
  if (!banks)
    return fail(banks.failure());
  boot b(**device, *banks);
  firmware(b);
  boot_loader(b, kernel);
  if (b.failure())
    return fail(*b.failure());
  std::ofstream out(file, std::ios::binary | std::ios::trunc);
  out.write(reinterpret_cast<const char*>(b.log().data()),
            static_cast<std::streamsize>(b.log().size()));
  out.close();
  return out ? 0 : fail(make_error(errc::io_failure, "cannot write " + file));
} catch (const std::exception& e) {
  std::cerr << "measured-boot: " << e.what() << "\n";
  return 1;
}
