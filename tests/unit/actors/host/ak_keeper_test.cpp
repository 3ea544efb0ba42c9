#include "actors/host/ak_keeper.hpp"

#include "tests/unit/actors/host/temporary_folder.hpp"
#include "tests/unit/adapters/tpm/tpm_bytes.hpp"

#include <algorithm>
#include <gtest/gtest.h>
#include <map>

namespace custos::host {

namespace {

constexpr std::uint32_t handle = 0x81010010;
constexpr std::uint16_t rsassa = 0x0014;

bytes wrapped(const bytes& area) {
  return tpm::test::tpm_bytes().sized(area);
}

/// A TPM that makes keys with software and knows those it made until it is cleared.
class device_double : public tpm::ak_device {
public:
  result<tpm::ak_blob> create_ak(tpm::ak_algorithm alg) override {
    ++created;
    if (away)
      return busy();
    tpm::test::template_of shape{.attributes = 0x00050472};
    bytes area;
    if (alg == tpm::ak_algorithm::rsassa_2048) {
      shape.scheme = rsassa;
      static const auto key = crypto::generate_rsa(2048).value();
      area = tpm::test::rsa_public(tpm::test::modulus_of(key), shape);
    } else {
      area = tpm::test::ecc_public(crypto::generate_p256().value(), shape);
    }
    tpm::ak_blob out{wrapped(area), crypto::random_bytes(120), 0};
    known.push_back(out.private_area);
    return out;
  }
  result<void> try_load(const tpm::ak_blob& ak) override {
    if (away)
      return busy();
    if (std::find(known.begin(), known.end(), ak.private_area) == known.end())
      return make_error(errc::corrupted, "the TPM does not know the attestation key");
    return {};
  }
  result<std::optional<bytes>> persistent_public(std::uint32_t at) override {
    if (away)
      return busy();
    const auto found = persistent.find(at);
    return found == persistent.end() ? std::optional<bytes>() : std::optional(found->second);
  }
  result<void> make_persistent(const tpm::ak_blob& ak, std::uint32_t at) override {
    CUSTOS_CHECK(try_load(ak));
    if (full)
      return make_error(errc::tpm_failure, "no space in NV");
    EXPECT_TRUE(persistent.emplace(at, ak.public_area).second) << "the handle was not free";
    return {};
  }
  result<void> evict(std::uint32_t at) override {
    EXPECT_EQ(persistent.erase(at), 1U);
    ++evicted;
    return {};
  }
  void clear() {
    known.clear();
    persistent.clear();
  }

  static error busy() { return make_error(errc::tpm_failure, "the TPM does not answer"); }

  std::vector<bytes> known;
  std::map<std::uint32_t, bytes> persistent;
  bool away = false, full = false;
  std::size_t created = 0, evicted = 0;
};

class ak_keeper : public ::testing::Test {
protected:
  result<tpm::ak_blob> keep() {
    said.clear();
    return keep_ak(device, options,
                   [this](const std::string& event, const std::string&) { said.push_back(event); });
  }
  tpm::ak_blob first() {
    auto made = keep();
    EXPECT_TRUE(made.ok()) << made.failure().message;
    EXPECT_EQ(said, std::vector<std::string>{"host.ak_made"});
    return *std::move(made);
  }
  void damage_file(std::size_t at) const {
    std::fstream file(options.file, std::ios::in | std::ios::out | std::ios::binary);
    file.seekg(static_cast<std::streamoff>(at));
    const int octet = file.get();
    file.seekp(static_cast<std::streamoff>(at));
    file.put(static_cast<char>(octet ^ 1));
  }
  [[nodiscard]] bool exists(const char* ending) const {
    return std::filesystem::exists(options.file.string() + ending);
  }

  test::temporary_folder folder;
  device_double device;
  ak_options options{folder / "ak.tpm", handle, tpm::ak_algorithm::ecdsa_p256};
  std::vector<std::string> said;
};

} // namespace

TEST_F(ak_keeper, makes_one_key_and_uses_it_from_then_on) {
  const auto made = first();
  EXPECT_EQ(made.handle, handle);
  for (int restart = 0; restart < 3; ++restart) {
    const auto again = keep();
    ASSERT_TRUE(again.ok());
    EXPECT_EQ(again->public_area, made.public_area);
    EXPECT_EQ(again->private_area, made.private_area);
    EXPECT_EQ(again->handle, handle);
    EXPECT_TRUE(said.empty());
  }
  EXPECT_EQ(device.created, 1U);
  const auto mode = std::filesystem::status(options.file).permissions();
  EXPECT_EQ(mode, std::filesystem::perms::owner_read | std::filesystem::perms::owner_write);
}

TEST_F(ak_keeper, needs_no_handle) {
  options.handle = 0;
  const auto made = first();
  EXPECT_EQ(made.handle, 0U);
  EXPECT_TRUE(device.persistent.empty());
  EXPECT_EQ(keep()->public_area, made.public_area);
  options.handle = handle;
  EXPECT_EQ(keep()->handle, handle) << "a key of the file is put there later";
  EXPECT_EQ(device.persistent.at(handle), made.public_area);
}

TEST_F(ak_keeper, keeps_the_key_in_its_file_when_the_tpm_has_no_room) {
  device.full = true;
  const auto made = keep();
  ASSERT_TRUE(made.ok());
  EXPECT_EQ(made->handle, 0U);
  EXPECT_EQ(said, (std::vector<std::string>{"host.ak_made", "host.ak_handle_failed"}));
  EXPECT_EQ(keep()->public_area, made->public_area);
  EXPECT_EQ(device.created, 1U);
}

TEST_F(ak_keeper, makes_no_key_while_the_tpm_is_away) {
  const auto made = first();
  device.away = true;
  EXPECT_EQ(keep().failure().code, errc::tpm_failure);
  options.handle = 0;
  EXPECT_EQ(keep().failure().code, errc::tpm_failure);
  EXPECT_EQ(device.created, 1U);
  device.away = false;
  EXPECT_EQ(keep()->public_area, made.public_area);
}

TEST_F(ak_keeper, makes_no_key_when_the_file_cannot_be_read) {
  std::filesystem::create_directory(options.file);
  const auto kept = keep();
  ASSERT_FALSE(kept.ok());
  EXPECT_EQ(kept.failure().code, errc::io_failure);
  EXPECT_EQ(device.created, 0U);
}

TEST_F(ak_keeper, says_that_the_tpm_was_cleared_and_begins_anew) {
  const auto made = first();
  device.clear();
  const auto fresh = keep();
  ASSERT_TRUE(fresh.ok()) << fresh.failure().message;
  EXPECT_NE(fresh->public_area, made.public_area);
  EXPECT_EQ(said, (std::vector<std::string>{"host.ak_lost", "host.ak_made"}));
  EXPECT_TRUE(exists(".lost")) << "nothing is thrown away";
  EXPECT_EQ(fresh->handle, handle);
  EXPECT_EQ(keep()->public_area, fresh->public_area);
  EXPECT_TRUE(said.empty());
}

TEST_F(ak_keeper, takes_the_key_of_the_tpm_over_when_the_file_is_damaged) {
  const auto made = first();
  const auto size = std::filesystem::file_size(options.file);
  for (std::size_t at = 0; at < size; at += 13) { // every part of it
    damage_file(at);
    const auto kept = keep();
    ASSERT_TRUE(kept.ok()) << at << kept.failure().message;
    EXPECT_EQ(kept->public_area, made.public_area) << at;
    EXPECT_EQ(kept->handle, handle);
    ASSERT_EQ(said, (std::vector<std::string>{"host.ak_file_damaged", "host.ak_taken_over"})) << at;
    ASSERT_TRUE(write_ak_file(options.file, made).ok());
  }
  EXPECT_EQ(device.created, 1U);
}

TEST_F(ak_keeper, takes_the_key_of_the_tpm_over_when_the_file_is_gone) {
  const auto made = first();
  std::filesystem::remove(options.file);
  std::filesystem::remove(options.file.string() + ".name");
  const auto kept = keep();
  ASSERT_TRUE(kept.ok());
  EXPECT_EQ(kept->public_area, made.public_area);
  EXPECT_EQ(said, std::vector<std::string>{"host.ak_taken_over"});
  const auto again = keep();
  EXPECT_EQ(again->public_area, made.public_area);
  EXPECT_TRUE(said.empty());
  device.clear();
  EXPECT_NE(keep()->public_area, made.public_area);
  EXPECT_EQ(said, (std::vector<std::string>{"host.ak_lost", "host.ak_made"}));
}

TEST_F(ak_keeper, makes_a_key_when_file_and_handle_have_none) {
  options.handle = 0;
  const auto made = first();
  damage_file(50);
  const auto kept = keep();
  ASSERT_TRUE(kept.ok());
  EXPECT_NE(kept->public_area, made.public_area);
  EXPECT_EQ(said, (std::vector<std::string>{"host.ak_file_damaged", "host.ak_made"}));
  EXPECT_TRUE(exists(".damaged"));
}

TEST_F(ak_keeper, leaves_what_others_keep_at_the_handle) {
  const bytes other =
      wrapped(tpm::test::ecc_public(crypto::generate_p256().value(), tpm::test::ek_template()));
  for (const auto& there : {other, bytes{0, 1, 2}}) {
    device.persistent[handle] = there;
    std::filesystem::remove(options.file);
    const auto made = keep();
    ASSERT_TRUE(made.ok());
    EXPECT_EQ(made->handle, 0U);
    EXPECT_EQ(said, (std::vector<std::string>{"host.ak_made", "host.ak_handle_taken"}));
    EXPECT_EQ(keep()->public_area, made->public_area);
    EXPECT_EQ(device.persistent.at(handle), there);
  }
  EXPECT_EQ(device.evicted, 0U);
}

TEST_F(ak_keeper, uses_a_key_of_another_algorithm_until_its_file_is_removed) {
  const auto made = first();
  options.algorithm = tpm::ak_algorithm::rsassa_2048;
  EXPECT_EQ(keep()->public_area, made.public_area);
  EXPECT_EQ(said, std::vector<std::string>{"host.ak_algorithm"});
  std::filesystem::remove(options.file);
  const auto fresh = keep();
  ASSERT_TRUE(fresh.ok());
  EXPECT_EQ(device.evicted, 1U) << "the old one was ours";
  EXPECT_EQ(fresh->handle, handle);
  EXPECT_EQ(device.persistent.at(handle), fresh->public_area);
  EXPECT_NE(fresh->public_area, made.public_area);
  EXPECT_EQ(keep()->public_area, fresh->public_area);
  EXPECT_TRUE(said.empty());
}

TEST_F(ak_keeper, does_not_free_the_handle_of_a_key_that_was_not_ours) {
  auto other = device.create_ak(tpm::ak_algorithm::rsassa_2048).value();
  device.persistent[handle] = other.public_area;
  const auto made = keep();
  ASSERT_TRUE(made.ok());
  EXPECT_EQ(device.evicted, 0U);
  EXPECT_EQ(made->handle, 0U);
}

TEST_F(ak_keeper, reads_the_file_of_the_first_version) {
  auto made = device.create_ak(tpm::ak_algorithm::ecdsa_p256).value();
  bytes old{static_cast<std::uint8_t>(made.public_area.size() >> 8U),
            static_cast<std::uint8_t>(made.public_area.size())};
  old.insert(old.end(), made.public_area.begin(), made.public_area.end());
  old.insert(old.end(), made.private_area.begin(), made.private_area.end());
  static_cast<void>(folder.write("ak.tpm", as_text(old)));
  EXPECT_EQ(keep()->public_area, made.public_area);
  EXPECT_EQ(device.created, 1U);
}

TEST_F(ak_keeper, refuses_files_cut_anywhere) {
  const auto made = first();
  std::ifstream in(options.file, std::ios::binary);
  const std::string whole((std::istreambuf_iterator<char>(in)), {});
  ASSERT_EQ(read_ak_file(options.file)->value().private_area, made.private_area);
  for (std::size_t n = 0; n < whole.size(); ++n) {
    const auto read = read_ak_file(folder.write("cut", whole.substr(0, n)));
    ASSERT_FALSE(read.ok()) << n;
    EXPECT_EQ(read.failure().code, errc::corrupted) << n;
  }
  EXPECT_EQ(read_ak_file(folder.write("long", std::string(9000, 'x'))).failure().code,
            errc::corrupted);
  EXPECT_FALSE(read_ak_file(folder / "none")->has_value());
}

TEST_F(ak_keeper, says_when_the_key_cannot_be_kept) {
  options.file = folder / "no/such/folder/ak.tpm";
  const auto kept = keep();
  ASSERT_FALSE(kept.ok());
  EXPECT_EQ(kept.failure().code, errc::storage_failure);
  EXPECT_TRUE(device.persistent.empty()) << "what is not on disk is not put into the TPM";
}

TEST(ak_handle, is_one_of_the_owners_or_none) {
  EXPECT_EQ(read_ak_handle("none").value(), 0U);
  EXPECT_EQ(read_ak_handle("0x81010010").value(), 0x81010010U);
  EXPECT_EQ(read_ak_handle("0X817FFFFF").value(), 0x817FFFFFU);
  for (const auto* text : {"", "0", "0x", "81010010", "0x80000000", "0x81800000", "0x1C00002",
                           "0x8101001000", "0x8101001g", " 0x81010010", "None"}) {
    const auto read = read_ak_handle(text);
    ASSERT_FALSE(read.ok()) << text;
    EXPECT_EQ(read.failure().field, "--ak-handle");
  }
}

} // namespace custos::host
