#include "cluster/image_file.hpp"

#include "adapters/archive/archive.hpp"
#include "adapters/jose/detached.hpp"
#include "cluster/config_codec.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace custos::cluster {

namespace {

using testing::HasSubstr;

image_file made() {
  image_file out;
  out.image.name = "web";
  out.image.version = "12.8/b";
  out.image.pcrs.push_back(
      {4, pcr_form::ordered, {}, {{0x80000003U, bytes(32, 0xAA), "grubx64.efi"}}});
  out.image.secure_boot = secure_boot_demand{};
  out.created = 1'750'000'000;
  out.created_by = "custos 0.1.0";
  return out;
}

bytes packed(const std::vector<archive::entry>& entries) {
  return archive::write_tgz(entries).value();
}

error refused(byte_view content, std::span<const crypto::key> trusted = {}) {
  auto r = read_image_file(content, trusted);
  EXPECT_FALSE(r.ok());
  return r.ok() ? error{} : r.failure();
}

const std::string bare =
    R"({"name":"web","version":"1","pcrs":[{"pcr":4,"form":"ordered","events":[]}]})";

std::string wrapped(const std::string& format, const std::string& version,
                    const std::string& image = bare) {
  return R"({"format":")" + format + R"(","format_version":)" + version + R"(,"image":)" + image +
         "}";
}

} // namespace

TEST(image_file, reads_what_it_writes) {
  const auto file = made();
  const auto content = write_image_file(file, nullptr).value();
  const auto read = read_image_file(content);
  ASSERT_TRUE(read.ok()) << read.failure().message;
  EXPECT_EQ(read->image.name, "web");
  EXPECT_EQ(write_object(read->image), write_object(file.image));
  EXPECT_EQ(read->created, file.created);
  EXPECT_EQ(read->created_by, file.created_by);
  EXPECT_FALSE(read->signer);
  EXPECT_EQ(write_image_file(*read, nullptr).value(), content);
}

TEST(image_file, is_a_tar_that_anybody_can_unpack) {
  const auto entries = archive::read_tgz(write_image_file(made(), nullptr).value()).value();
  ASSERT_EQ(entries.size(), 1U);
  EXPECT_EQ(entries[0].name, "image.json");
  EXPECT_EQ(as_text(entries[0].content), write_image_json(made()));
  EXPECT_THAT(write_image_json(made()), HasSubstr(R"("format":"custos-base-image")"));
}

TEST(image_file, plain_json_in_both_forms) {
  const auto read = read_image_file(as_bytes(write_image_json(made())));
  ASSERT_TRUE(read.ok()) << read.failure().message;
  EXPECT_EQ(write_object(read->image), write_object(made().image));
  const auto old = read_image_file(as_bytes(bare));
  ASSERT_TRUE(old.ok()) << old.failure().message;
  EXPECT_EQ(old->image.name, "web");
  EXPECT_EQ(old->created, 0);
}

TEST(image_file, signed_and_verified) {
  const auto key = crypto::generate_p256().value();
  const auto other = crypto::generate_p256().value();
  const auto content = write_image_file(made(), &key).value();
  const auto read = read_image_file(content, std::vector{other, key});
  ASSERT_TRUE(read.ok()) << read.failure().message;
  ASSERT_TRUE(read->signer);
  EXPECT_TRUE(read->signer->same_public(key));
  EXPECT_EQ(refused(content, std::vector{other}).check, "jws-kid");
  EXPECT_TRUE(read_image_file(content).ok());
}

TEST(image_file, must_be_signed_where_a_key_is_trusted) {
  const std::vector<crypto::key> trusted{crypto::generate_p256().value()};
  for (const auto& content :
       {write_image_file(made(), nullptr).value(), to_bytes(write_image_json(made()))}) {
    const auto e = refused(content, trusted);
    EXPECT_EQ(e.code, errc::token_invalid);
    EXPECT_EQ(e.check, "image-signature");
  }
}

TEST(image_file, a_signature_is_of_this_image_only) {
  const auto key = crypto::generate_p256().value();
  const std::vector<crypto::key> trusted{key};
  auto entries = archive::read_tgz(write_image_file(made(), &key).value()).value();
  auto other = made();
  other.image.pcrs[0].events[0].digest[0] ^= 1;
  auto swapped = entries;
  swapped[0].content = to_bytes(write_image_json(other));
  EXPECT_EQ(refused(packed(swapped), trusted).check, "jws-signature");
  // Signed by the same key for something else.
  auto reused = entries;
  reused[1].content = to_bytes(jose::sign_detached(key, "other+jws", entries[0].content).value());
  EXPECT_EQ(refused(packed(reused), trusted).check, "jws-type");
}

TEST(image_file, names_what_is_wrong) {
  const auto doc = [](const std::string& text) {
    return archive::entry{"image.json", to_bytes(text)};
  };
  struct bad {
    bytes content;
    std::string field;
    errc code;
  };
  for (const auto& c : std::vector<bad>{
           {to_bytes(""), "", errc::malformed},
           {to_bytes("[1]"), "", errc::malformed},
           {to_bytes("{}"), "/name", errc::invalid_argument},
           {to_bytes(R"({"name":"a/b"})"), "name", errc::invalid_argument},
           {to_bytes(R"({"name":"a"})"), "/version", errc::invalid_argument},
           {to_bytes(wrapped("other", "1")), "/format", errc::unsupported},
           {to_bytes(wrapped("custos-base-image", "2")), "/format_version", errc::unsupported},
           {to_bytes(wrapped("custos-base-image", "1", R"({"name":"a"})")), "/image/version",
            errc::invalid_argument},
           {to_bytes(wrapped("custos-base-image", "1", "7")), "/image", errc::invalid_argument},
           {to_bytes(R"({"x":1,)" + wrapped("custos-base-image", "1").substr(1)), "/x",
            errc::invalid_argument},
           {packed({doc(bare), {"else", {}}}), "", errc::malformed},
           {packed({{"image.json.jws", {}}}), "", errc::malformed},
           {packed({doc("{")}), "", errc::malformed},
           {packed({doc(bare), {"image.json.jws", {}}, {"third", {}}}), "", errc::too_large},
           {bytes{0x1F, 0x8B, 8, 0}, "", errc::unsupported},
           {bytes(image_file_bytes_max + 1, ' '), "", errc::too_large}}) {
    const auto e = refused(c.content);
    EXPECT_EQ(e.field, c.field) << e.message;
    EXPECT_EQ(e.code, c.code) << e.field << " " << e.message;
  }
}

TEST(image_file, has_a_name_of_its_own) {
  EXPECT_EQ(image_file_name(made().image), "web-12.8_b.custos-image.tgz");
}

} // namespace custos::cluster
