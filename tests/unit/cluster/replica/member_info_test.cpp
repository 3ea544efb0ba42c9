#include "cluster/replica/member_info.hpp"

#include "tests/unit/cluster/replica/first_replica.hpp"

#include <gtest/gtest.h>

namespace custos::cluster::replica {

namespace {

using test::info_of;

std::string with(std::string text, const std::string& from, const std::string& to) {
  const auto at = text.find(from);
  EXPECT_NE(at, std::string::npos) << from;
  return at == std::string::npos ? text : text.replace(at, from.size(), to);
}

} // namespace

TEST(member_info, reads_as_it_was_written) {
  auto info = info_of("n1");
  for (std::size_t i = 1; i < certificates_per_member_max; ++i)
    info.certificates.push_back(crypto::sha256(as_bytes(std::to_string(i))));
  const auto read = read_member_info(write_member_info(info));
  ASSERT_TRUE(read.ok()) << read.failure().message;
  EXPECT_EQ(*read, info);
  info.certificates.clear();
  EXPECT_EQ(read_member_info(write_member_info(info)).value(), info);
}

TEST(member_info, looks_as_described) {
  member_info info{"n1", "192.0.2.1", 8444, {}, {0xFF, 0xFE}};
  EXPECT_EQ(write_member_info(info), R"({"certificates":[],"host":"192.0.2.1","name":"n1",)"
                                     R"("port":8444,"public_key":"__4"})");
}

TEST(member_info, names_the_field_that_is_wrong) {
  const auto good = write_member_info(info_of("n1"));
  struct refused {
    std::string from, to, field;
  };
  const std::vector<refused> cases{
      {R"("name":"n1")", R"("name":"n 1")", "/name"},
      {R"("name":"n1")", R"("name":"")", "/name"},
      {R"("name":"n1")", R"("nome":"n1")", "/name"},
      {R"("host":"n1.example.org")", R"("host":"")", "/host"},
      {R"("host":"n1.example.org")", R"("host":")" + std::string(254, 'a') + "\"", "/host"},
      {"8444", "0", "/port"},
      {"8444", "65536", "/port"},
      {"8444", "\"8444\"", "/port"},
      {R"("certificates":[")", R"("certificates":["00)", "/certificates/0"},
      {R"("certificates":[")", R"("certificates":["ab",")", "/certificates"},
      {R"("certificates":[")", R"("certificates":["xy",")", "/certificates"},
      {R"("certificates":[)", R"("certificates":["","","","",)", "/certificates"},
      {R"("public_key":")", R"("public_key":"=)", "/public_key"},
      {R"({"certificates")", R"({"also":1,"certificates")", "/also"},
  };
  for (const auto& c : cases) {
    const auto read = read_member_info(with(good, c.from, c.to));
    ASSERT_FALSE(read.ok()) << c.to;
    EXPECT_EQ(read.failure().field, c.field) << c.to << ": " << read.failure().message;
  }
  EXPECT_FALSE(read_member_info("").ok());
  EXPECT_FALSE(read_member_info(good.substr(0, good.size() - 1)).ok());
  EXPECT_FALSE(read_member_info(good + std::string(raft::member_info_bytes_max, ' ')).ok());
}

TEST(member_info, knows_addresses) {
  const auto name = parse_link_address("n1.example.org:8444");
  ASSERT_TRUE(name.ok());
  EXPECT_EQ(name->host, "n1.example.org");
  EXPECT_EQ(name->port, 8444);
  EXPECT_EQ(parse_link_address("[2001:db8::1]:1")->host, "2001:db8::1");
  EXPECT_EQ(parse_link_address("192.0.2.1:65535")->port, 65535);
  for (const auto* bad : {"", "n1", ":8444", "n1:", "n1:0", "n1:65536", "n1:-1", "n1:+1", "n1: 1",
                          "n1:1x", "2001:db8::1:8444", "[]:1", "[n1]", "n1:99999999999"}) {
    const auto read = parse_link_address(bad);
    ASSERT_FALSE(read.ok()) << bad;
    EXPECT_EQ(read.failure().field, "cluster_address");
  }
  auto longest = std::string(253, 'a').append(":1");
  EXPECT_TRUE(parse_link_address(longest).ok());
  EXPECT_FALSE(parse_link_address(longest.insert(0, "a")).ok());
}

TEST(member_info, members_that_do_not_read_cannot_be_reached) {
  const raft::membership members{{1, raft::member_role::voter, write_member_info(info_of("n1"))},
                                 {2, raft::member_role::voter, "{"},
                                 {3, raft::member_role::standby, write_member_info(info_of("n3"))}};
  const auto known = known_members(members);
  ASSERT_EQ(known.size(), 2U);
  EXPECT_EQ(known[1].id, 3U);
  EXPECT_EQ(known[1].role, raft::member_role::standby);
  ASSERT_NE(find_by_name(known, "n3"), nullptr);
  EXPECT_EQ(find_by_name(known, "n3")->id, 3U);
  EXPECT_EQ(find_by_name(known, "n2"), nullptr);
  const auto links = link_members(known);
  ASSERT_EQ(links.size(), 2U);
  EXPECT_EQ(links[0].name, "n1");
  EXPECT_EQ(links[0].certificates, info_of("n1").certificates);
}

} // namespace custos::cluster::replica
