#include "actors/attestation/image_index.hpp"
#include "adapters/eventlog/event_types.hpp"
#include "tests/unit/actors/attestation/booted.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <thread>

namespace custos::attestation {
namespace {

using namespace test;
using crypto::hash_alg;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::SizeIs;
namespace et = eventlog::event_type;

object_index<base_image> configured(std::initializer_list<base_image> images) {
  object_index<base_image> out;
  for (const auto& image : images)
    out.set(image.name, std::make_shared<const base_image>(image));
  return out;
}

base_image with_form(base_image image, pcr_form form) {
  for (auto& p : image.pcrs)
    p.form = form;
  return image;
}

base_image audit_only(base_image image) {
  image.audit_only = true;
  return image;
}

std::string found(const image_index& index, const booted& boot) {
  const auto out = index.find(boot.evidence());
  return out.why ? "no: " + out.why->check : out.image->name;
}

std::vector<std::string> names(const std::vector<image_ptr>& images) {
  std::vector<std::string> out;
  for (const auto& i : images)
    out.push_back(i->name);
  return out;
}

const booted& kernel_a() {
  static const booted b({{4, "shim"}, {4, "a"}, {9, "initrd"}});
  return b;
}
const booted& kernel_b() {
  static const booted b({{4, "shim"}, {4, "b"}, {9, "initrd"}});
  return b;
}

TEST(image_index, finds_the_image_of_a_boot) {
  const image_index index(configured({kernel_a().image("a"), kernel_b().image("b")}));
  EXPECT_EQ(found(index, kernel_a()), "a");
  EXPECT_EQ(found(index, kernel_b()), "b");
  EXPECT_EQ(found(index, booted({{4, "shim"}, {4, "c"}})), "no: base-image");
}

TEST(image_index, accepts_nothing_where_there_is_no_image) {
  const image_index index({});
  const auto out = index.find(kernel_a().evidence());
  EXPECT_FALSE(out.image);
  ASSERT_TRUE(out.why);
  EXPECT_EQ(out.why->check, "base-image");
  EXPECT_EQ(out.why->code, errc::attestation_failed);
  EXPECT_TRUE(index.check_selection(kernel_a().quoted).ok());
}

TEST(image_index, an_image_that_judges_nothing_matches_nothing) {
  base_image nothing{"nothing", "1", "sha256", {}};
  auto ignores = with_form(kernel_a().image("ignores"), pcr_form::ignored);
  const image_index index(configured({nothing, ignores}));
  EXPECT_EQ(found(index, kernel_a()), "no: base-image");
}

TEST(image_index, images_of_other_banks_and_pcrs_beside_each_other) {
  const auto wide = kernel_b().image("wide", 1U << 4 | 1U << 9, hash_alg::sha384);
  auto odd = kernel_a().image("odd");
  odd.bank = "md5";
  const image_index index(configured({kernel_a().image("a"), wide, odd}));
  EXPECT_EQ(found(index, kernel_a()), "a");
  EXPECT_EQ(found(index, kernel_b()), "wide");
}

// PCR 0 starts from the locality of TPM2_Startup: the image does not say it, the log does.
TEST(image_index, whatever_locality_the_tpm_was_started_from) {
  const measured events{{0, "firmware"}, {4, "a"}};
  const booted plain(events);
  const booted locality_3(events, 3);
  const booted hcrtm(events, 0, et::efi_hcrtm_event);
  EXPECT_NE(plain.value(0), locality_3.value(0));
  EXPECT_NE(plain.value(0), hcrtm.value(0));
  for (const auto* const boot : {&plain, &locality_3, &hcrtm}) {
    const image_index index(configured({boot->image("mine", 1U << 0)}));
    EXPECT_EQ(found(index, *boot), "mine");
  }
  EXPECT_EQ(found(image_index(configured({plain.image("p", 1)})), locality_3), "p");
}

TEST(image_index, exact_values_one_or_many) {
  auto image = kernel_a().image("x");
  auto& p = image.pcrs.front();
  p.form = pcr_form::exact;
  p.events.clear();
  p.values = {kernel_a().value(4), kernel_b().value(4)};
  const image_index index(configured({image}));
  EXPECT_EQ(found(index, kernel_a()), "x");
  EXPECT_EQ(found(index, kernel_b()), "x");
  EXPECT_EQ(found(index, booted({{4, "c"}})), "no: base-image");
  // More than the image can be filed under: it is found by its other PCRs.
  for (std::size_t i = 0; i <= image_keys_max; ++i)
    p.values.push_back(crypto::digest(hash_alg::sha256, {as_bytes(std::to_string(i))}));
  EXPECT_EQ(found(image_index(configured({image})), kernel_b()), "x");
  p.values = {bytes(31, 1)};
  EXPECT_EQ(found(image_index(configured({image})), kernel_a()), "no: base-image");
}

TEST(image_index, a_value_without_events) {
  booted boot({{4, "a"}});
  const bytes by_user_space(32, 7);
  boot.quoted.front().values.at(11) = by_user_space;
  auto image = boot.image("x");
  pcr_policy p;
  p.pcr = 11;
  p.form = pcr_form::exact;
  p.values = {by_user_space};
  image.pcrs.push_back(p);
  EXPECT_EQ(found(image_index(configured({image})), boot), "x");
  image.pcrs.back().values = {bytes(32, 8)};
  EXPECT_EQ(found(image_index(configured({image})), boot), "no: base-image");
}

TEST(image_index, sets_are_judged_among_images_that_share_the_rest) {
  const auto all = 1U << 4 | 1U << 9;
  auto a = with_form(kernel_a().image("a", all), pcr_form::set);
  auto b = with_form(kernel_b().image("b", all), pcr_form::set);
  a.pcrs.back().form = b.pcrs.back().form = pcr_form::ordered;
  const image_index index(configured({a, b}));
  EXPECT_EQ(found(index, kernel_a()), "a");
  EXPECT_EQ(found(index, kernel_b()), "b");
  EXPECT_EQ(found(index, booted({{4, "b"}, {4, "b"}, {9, "initrd"}})), "b");
  EXPECT_EQ(found(index, booted({{4, "c"}, {9, "initrd"}})), "no: base-image");
  const image_index only_sets(configured({with_form(a, pcr_form::set)}));
  EXPECT_EQ(found(only_sets, kernel_a()), "a");
}

TEST(image_index, finds_among_many_sets_that_share_the_rest) {
  const auto all = 1U << 4 | 1U << 9;
  object_index<base_image> images;
  for (std::size_t i = 0; i < 3 * images_to_scan_max; ++i) {
    const auto n = std::to_string(100 + i);
    const booted other({{4, "shim"}, {4, "kernel " + n}, {4, "module " + n}, {9, "initrd"}});
    auto image = with_form(other.image(n, all), pcr_form::set);
    image.pcrs.back().form = pcr_form::ordered;
    images.set(n, std::make_shared<const base_image>(image));
  }
  const image_index index(images);
  EXPECT_EQ(found(index, booted({{4, "shim"}, {4, "kernel 120"}, {9, "initrd"}})), "120");
  EXPECT_EQ(found(index, booted({{4, "module 147"}, {4, "kernel 147"}, {9, "initrd"}})), "147");
  EXPECT_EQ(found(index, booted({{4, "shim"}, {9, "initrd"}})), "100");
  EXPECT_EQ(found(index, booted({{4, "kernel 120"}, {4, "module 121"}, {9, "initrd"}})),
            "no: base-image");
  EXPECT_EQ(found(index, booted({{4, "kernel"}, {9, "initrd"}})), "no: base-image");
}

// The index only finds: an event of another type has the same digest, and is another.
TEST(image_index, decides_by_the_complete_comparison) {
  auto image = kernel_a().image("a");
  image.pcrs.front().events.front().type = et::efi_boot_services_application;
  for (const auto form : {pcr_form::ordered, pcr_form::set})
    EXPECT_EQ(found(image_index(configured({with_form(image, form)})), kernel_a()),
              "no: base-image");
  booted lied({{4, "shim"}, {4, "a"}});
  const auto index = image_index(configured({kernel_b().image("b")}));
  const auto claimed = kernel_b().value(4);
  lied.quoted.front().values.at(4) = claimed; // quoted is b, the log says a
  EXPECT_EQ(found(index, lied), "no: event-log-replay");
}

TEST(image_index, says_how_the_nearest_differs) {
  object_index<base_image> images;
  for (int i = 0; i < 200; ++i) {
    const auto n = std::to_string(1000 + i);
    const booted other({{4, "shim"}, {4, n}, {9, "initrd " + n}});
    images.set(n, std::make_shared<base_image>(other.image(n, 1U << 4 | 1U << 9)));
  }
  const booted updated({{4, "shim"}, {4, "1150"}, {9, "initrd of an update"}});
  const auto out = image_index(images).find(updated.evidence());
  ASSERT_TRUE(out.image && out.why);
  EXPECT_EQ(out.image->name, "1150");
  EXPECT_EQ(out.why->check, "base-image");
  EXPECT_EQ(out.why->pcr, 9U);
  EXPECT_THAT(out.why->message, HasSubstr("initrd of an update"));
  // Nothing in common: still one, and its first difference.
  const auto stranger = image_index(images).find(booted({{4, "x"}, {9, "y"}}).evidence());
  ASSERT_TRUE(stranger.image && stranger.why);
  EXPECT_EQ(stranger.why->pcr, 4U);
}

TEST(image_index, needs_the_pcrs_and_banks_of_an_image_quoted) {
  booted boot({{4, "a"}, {9, "x"}});
  const image_index index(configured({boot.image("four", 1U << 4), boot.image("nine", 1U << 9)}));
  boot.quoted.front().mask = 1U << 9;
  EXPECT_TRUE(index.check_selection(boot.quoted).ok());
  EXPECT_EQ(found(index, boot), "nine");
  boot.quoted.front().mask = 1U << 7;
  const auto missing = index.check_selection(boot.quoted);
  ASSERT_FALSE(missing.ok());
  EXPECT_EQ(missing.failure().check, "pcr-selection");
  EXPECT_EQ(missing.failure().pcr, 4U);
  EXPECT_THAT(missing.failure().message, HasSubstr("four"));
  EXPECT_EQ(found(index, boot), "no: base-image");
  EXPECT_EQ(index.check_selection({}).failure().check, "pcr-selection");
}

TEST(image_index, asks_for_further_demands_image_by_image) {
  const auto index = image_index(
      configured({kernel_a().image("a1"), kernel_a().image("a2"), kernel_a().image("a3")}));
  std::vector<std::string> asked;
  const auto only = [&](const std::string& name) -> demand_check {
    return [&asked, name](const base_image& image) -> result<void> {
      asked.push_back(image.name);
      if (image.name == name)
        return {};
      auto no = make_error(errc::attestation_failed, image.name + " demands more");
      no.check = "secure-boot";
      return no;
    };
  };
  EXPECT_EQ(index.find(kernel_a().evidence(), only("a2")).image->name, "a2");
  EXPECT_THAT(asked, ElementsAre("a1", "a2"));
  const auto none = index.find(kernel_a().evidence(), only("other"));
  ASSERT_TRUE(none.why);
  EXPECT_EQ(none.why->check, "secure-boot");
  EXPECT_EQ(none.image->name, "a1");
  EXPECT_THAT(names(index.matching(kernel_a().evidence())), ElementsAre("a1", "a2", "a3"));
  EXPECT_THAT(names(index.matching(kernel_a().evidence(), only("a3"))), ElementsAre("a3"));
  EXPECT_THAT(names(index.matching(kernel_a().evidence(), {}, 2)), ElementsAre("a1", "a2"));
}

TEST(image_index, audit_only_images_grant_nothing) {
  const auto index =
      image_index(configured({audit_only(kernel_a().image("a")), kernel_b().image("b")}));
  EXPECT_EQ(found(index, kernel_a()), "no: base-image");
  EXPECT_EQ(index.find(kernel_a().evidence()).image->name, "b");
  EXPECT_EQ(found(index, kernel_b()), "b");
  const auto only_audited = image_index(configured({audit_only(kernel_a().image("a"))}));
  EXPECT_EQ(found(only_audited, kernel_a()), "no: base-image");
}

TEST(image_index, audit_only_images_are_reported) {
  const auto index =
      image_index(configured({audit_only(kernel_a().image("a")), audit_only(kernel_b().image("b")),
                              audit_only(kernel_a().image("c")), kernel_a().image("enforced")}));
  auto seen = index.audit(kernel_a().evidence());
  EXPECT_EQ(seen.images, 3U);
  EXPECT_THAT(names(seen.matching), ElementsAre("a", "c"));
  EXPECT_THAT(names(seen.differing), ElementsAre("b"));
  seen = index.audit(kernel_a().evidence(), [](const base_image& i) -> result<void> {
    if (i.name == "c")
      return make_error(errc::attestation_failed, "demands more");
    return {};
  });
  EXPECT_THAT(names(seen.matching), ElementsAre("a"));
  EXPECT_THAT(names(seen.differing), ElementsAre("b", "c"));
  EXPECT_EQ(image_index(configured({kernel_a().image("x")})).audit(kernel_a().evidence()).images,
            0U);
}

TEST(image_index, reports_of_audit_are_bounded) {
  object_index<base_image> images;
  for (int i = 0; i < 100; ++i) {
    const auto n = std::to_string(1000 + i);
    const auto& boot = i % 2 == 0 ? kernel_a() : kernel_b();
    images.set(n, std::make_shared<base_image>(audit_only(boot.image(n))));
  }
  const auto seen = image_index(images).audit(kernel_a().evidence());
  EXPECT_EQ(seen.images, 100U);
  EXPECT_THAT(seen.matching, SizeIs(listed_images_max));
  EXPECT_THAT(seen.differing, SizeIs(listed_images_max));
  for (const auto& i : seen.differing)
    EXPECT_EQ(std::stoi(i->name) % 2, 1) << i->name;
}

TEST(image_index, what_is_worth_explaining_begins_with_what_matches) {
  const auto index =
      image_index(configured({kernel_b().image("a-nearest"), kernel_a().image("b-matches"),
                              audit_only(kernel_a().image("c-audited"))}));
  EXPECT_THAT(names(index.worth_explaining(kernel_a().evidence())),
              ElementsAre("b-matches", "c-audited", "a-nearest"));
  EXPECT_THAT(names(index.worth_explaining(kernel_a().evidence(), 1)), ElementsAre("b-matches"));
}

TEST(image_index, of_a_later_revision_takes_over_what_is_the_same) {
  auto images = configured({kernel_a().image("a"), kernel_b().image("b")});
  const image_index first(images);
  images.set("b", std::make_shared<base_image>(kernel_a().image("b")));
  images.set("c", std::make_shared<base_image>(kernel_b().image("c")));
  images.set("a", std::make_shared<base_image>(audit_only(kernel_a().image("a"))));
  const image_index second(images, &first);
  EXPECT_EQ(found(second, kernel_a()), "b");
  EXPECT_EQ(found(second, kernel_b()), "c");
  EXPECT_THAT(names(second.audit(kernel_a().evidence()).matching), ElementsAre("a"));
  EXPECT_EQ(found(first, kernel_b()), "b") << "an index does not change";
}

TEST(image_index_source, makes_one_index_per_change) {
  image_index_source source;
  auto images = configured({kernel_a().image("a")});
  const auto first = source.of(images);
  const auto copy = images;
  EXPECT_EQ(source.of(copy), first);
  images.set("b", std::make_shared<base_image>(kernel_b().image("b")));
  const auto second = source.of(images);
  EXPECT_NE(second, first);
  EXPECT_EQ(found(*second, kernel_b()), "b");
  EXPECT_EQ(source.of(images), second);
  images.erase("b");
  EXPECT_EQ(found(*source.of(images), kernel_b()), "no: base-image");
}

TEST(image_index_source, is_shared_by_threads) {
  image_index_source source;
  const auto images = configured({kernel_a().image("a"), kernel_b().image("b")});
  std::vector<std::shared_ptr<const image_index>> seen(8);
  std::vector<std::thread> threads;
  for (auto& one : seen)
    threads.emplace_back([&] { one = source.of(images); });
  for (auto& t : threads)
    t.join();
  for (const auto& one : seen)
    EXPECT_EQ(one, seen.front());
}

} // namespace
} // namespace custos::attestation
