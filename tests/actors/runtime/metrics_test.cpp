#include "runtime/metrics.hpp"

#include <gtest/gtest.h>
#include <sstream>

namespace custos::runtime {

namespace {

std::vector<std::string> lines_with(const std::string& text, const std::string& what) {
  std::vector<std::string> out;
  std::istringstream in(text);
  for (std::string line; std::getline(in, line);)
    if (line.find(what) != std::string::npos)
      out.push_back(line);
  return out;
}

using lines = std::vector<std::string>;

} // namespace

TEST(metrics, are_written_as_prometheus_reads_them) { // text exposition format 0.0.4
  metrics m;
  m.add([](std::vector<metric_sample>& out) {
    out.push_back({"custos_things_total", "Things done", true, {{"kind", "good"}}, 3});
    out.push_back({"custos_things_total", "Things done", true, {{"kind", "bad"}}, 0});
    out.push_back({"custos_open", "Things open", false, {}, -1.5});
  });
  const auto text = m.render();
  EXPECT_EQ(lines_with(text, "custos_things_total"),
            (lines{"# HELP custos_things_total Things done", "# TYPE custos_things_total counter",
                   "custos_things_total{kind=\"good\"} 3", "custos_things_total{kind=\"bad\"} 0"}));
  EXPECT_EQ(
      lines_with(text, "custos_open"),
      (lines{"# HELP custos_open Things open", "# TYPE custos_open gauge", "custos_open -1.5"}));
  EXPECT_EQ(text.back(), '\n');
}

TEST(metrics, stand_together_by_family_whichever_source_they_come_from) {
  metrics m;
  m.add([](std::vector<metric_sample>& out) {
    out.push_back({"custos_a_total", "A", true, {{"from", "one"}}, 1});
    out.push_back({"custos_b_total", "B", true, {}, 2});
  });
  m.add([](std::vector<metric_sample>& out) {
    out.push_back({"custos_a_total", "A", true, {{"from", "two"}}, 3});
  });
  EXPECT_EQ(lines_with(m.render(), "custos_a_total"),
            (lines{"# HELP custos_a_total A", "# TYPE custos_a_total counter",
                   "custos_a_total{from=\"one\"} 1", "custos_a_total{from=\"two\"} 3"}));
}

TEST(metrics, escape_labels) {
  metrics m;
  m.add([](std::vector<metric_sample>& out) {
    out.push_back({"custos_x", "X", false, {{"why", "a\"b\\c\nd"}}, 1});
  });
  EXPECT_EQ(lines_with(m.render(), "custos_x{"), (lines{R"(custos_x{why="a\"b\\c\nd"} 1)"}));
}

TEST(metrics, are_collected_anew_at_each_scrape) {
  metrics m;
  int scrapes = 0;
  m.add([&scrapes](std::vector<metric_sample>& out) {
    out.push_back({"custos_scrapes_total", "Scrapes", true, {}, static_cast<double>(++scrapes)});
  });
  static_cast<void>(m.render());
  EXPECT_EQ(lines_with(m.render(), "custos_scrapes_total ").back(), "custos_scrapes_total 2");
}

TEST(metrics, tell_of_the_process_itself) {
  const metrics m;
  const auto text = m.render();
  EXPECT_EQ(lines_with(text, "custos_build_info{"),
            (lines{"custos_build_info{version=\"" CUSTOS_VERSION "\"} 1"}));
  const auto memory = lines_with(text, "custos_process_resident_bytes ");
  ASSERT_EQ(memory.size(), 3U);
  EXPECT_GT(std::stod(memory[2].substr(memory[2].find(' '))), 1e6);
}

} // namespace custos::runtime
