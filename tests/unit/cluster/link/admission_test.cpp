#include "cluster/link/admission.hpp"
#include "cluster/link/backoff.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace custos::cluster::link {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

TEST(LinkAdmission, TheOldestGoesFirst) {
  admission a(3, 10);
  EXPECT_THAT(a.admit(1, "x"), IsEmpty());
  EXPECT_THAT(a.admit(2, "y"), IsEmpty());
  EXPECT_THAT(a.admit(3, "z"), IsEmpty());
  EXPECT_THAT(a.admit(4, "w"), ElementsAre(1));
  a.leave(2);
  EXPECT_THAT(a.admit(5, "v"), IsEmpty());
  EXPECT_THAT(a.admit(6, "u"), ElementsAre(3));
  EXPECT_EQ(a.size(), 3U);
}

TEST(LinkAdmission, OneAddressPaysForItself) {
  admission a(100, 2);
  EXPECT_THAT(a.admit(1, "x"), IsEmpty());
  EXPECT_THAT(a.admit(2, "x"), IsEmpty());
  EXPECT_THAT(a.admit(3, "y"), IsEmpty());
  EXPECT_THAT(a.admit(4, "x"), ElementsAre(1));
  EXPECT_THAT(a.admit(5, "y"), IsEmpty());
}

TEST(LinkAdmission, TheCrowdedAddressGoesBeforeAnOlderLoneOne) {
  admission a(3, 10);
  a.admit(1, "lone");
  a.admit(2, "crowd");
  a.admit(3, "crowd");
  EXPECT_THAT(a.admit(4, "crowd"), ElementsAre(2));
}

TEST(LinkAdmission, WhoSpeaksStaysLonger) {
  admission a(3, 10);
  a.admit(1, "x");
  a.spoke(1);
  a.admit(2, "x");
  a.admit(3, "x");
  EXPECT_THAT(a.admit(4, "x"), ElementsAre(2));
}

TEST(LinkAdmission, MembersAddressesStayLongest) {
  admission a(3, 10);
  a.set_known({"member"});
  a.admit(1, "member");
  a.admit(2, "x");
  a.spoke(2);
  a.admit(3, "y");
  a.spoke(3);
  EXPECT_THAT(a.admit(4, "z"), ElementsAre(2));
  EXPECT_THAT(a.admit(5, "z"), ElementsAre(4)); // its address has two now, and has said nothing
  EXPECT_THAT(a.admit(6, "member"), ElementsAre(5));
  EXPECT_THAT(a.admit(7, "member"), ElementsAre(3));
  EXPECT_THAT(a.admit(8, "member"), ElementsAre(1)); // only members are left
}

TEST(LinkAdmission, MakesRoomOfAQuarter) {
  admission a(100, 100);
  EXPECT_THAT(a.make_room(), IsEmpty());
  a.admit(1, "x");
  EXPECT_THAT(a.make_room(), ElementsAre(1));
  for (std::uint64_t id = 2; id < 14; ++id)
    a.admit(id, "x");
  EXPECT_THAT(a.make_room(), ElementsAre(2, 3, 4));
}

TEST(LinkAdmission, AnAddressIsThatOfAParty) {
  EXPECT_EQ(address_group("192.0.2.1"), address_group("::ffff:192.0.2.1"));
  EXPECT_NE(address_group("192.0.2.1"), address_group("192.0.2.2"));
  EXPECT_EQ(address_group("2001:db8:1:2::1"), address_group("2001:db8:1:2:ffff::9"));
  EXPECT_NE(address_group("2001:db8:1:2::1"), address_group("2001:db8:1:3::1"));
  EXPECT_EQ(address_group("fe80::1%eth0"), address_group("fe80::2"));
  EXPECT_EQ(address_group("node-b.example"), "");
}

TEST(LinkBackoff, DoublesUpToTheMostAndVaries) {
  using std::chrono::milliseconds;
  backoff b(milliseconds(100), milliseconds(1000));
  EXPECT_EQ(b.next(0).count(), 50);
  EXPECT_EQ(b.next(100).count(), 200); // half of 200 and all of the other half
  EXPECT_EQ(b.next(0).count(), 200);
  EXPECT_EQ(b.next(0).count(), 400);
  EXPECT_EQ(b.next(0).count(), 500);
  EXPECT_EQ(b.next(500).count(), 1000);
  b.reset();
  for (std::uint32_t random = 0; random < 1000; ++random) {
    const auto wait = b.next(random * 7919U);
    EXPECT_GE(wait.count(), 50);
    EXPECT_LE(wait.count(), 1000);
  }
}

} // namespace
} // namespace custos::cluster::link
