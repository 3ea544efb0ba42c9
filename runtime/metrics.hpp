#pragma once
// Prometheus metrics of a process: collected when scraped, from counters that already exist.

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace custos::runtime {

/// How often a duration fell below each bound; bounds in ascending order, in the metric's unit.
struct histogram_sample {
  std::vector<std::pair<double, std::uint64_t>> buckets; ///< bound, and how many not above it
  std::uint64_t count = 0;
  double sum = 0;
};

/// One sample of a metric family.
struct metric_sample {
  std::string name; ///< "custos_attestations_total"
  std::string help;
  bool counter = true; ///< else a gauge
  std::map<std::string, std::string> labels;
  double value = 0;
  std::optional<histogram_sample> histogram = {}; ///< instead of a value
};

class metrics {
public:
  /// Called on the scraping thread; must be thread-safe and not block.
  using source = std::function<void(std::vector<metric_sample>&)>;
  metrics();
  ~metrics();
  metrics(const metrics&) = delete;
  metrics& operator=(const metrics&) = delete;
  /// Before the first scrape only.
  void add(source s);
  /// Prometheus text exposition format 0.0.4.
  [[nodiscard]] std::string render() const;

private:
  struct impl;
  std::unique_ptr<impl> impl_;
};

} // namespace custos::runtime
