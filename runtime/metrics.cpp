#include "runtime/metrics.hpp"

#include <fstream>
#include <prometheus/client_metric.h>
#include <prometheus/metric_family.h>
#include <prometheus/text_serializer.h>
#include <unistd.h>

namespace custos::runtime {

struct metrics::impl {
  std::vector<source> sources;
};

namespace {

/// Resident set size in bytes, from /proc (proc(5), statm: the second field, in pages).
double resident_bytes() {
  std::ifstream statm("/proc/self/statm");
  double size = 0;
  double resident = 0;
  statm >> size >> resident;
  return resident * static_cast<double>(sysconf(_SC_PAGESIZE));
}

} // namespace

metrics::metrics() : impl_(std::make_unique<impl>()) {
  add([](std::vector<metric_sample>& out) {
    out.push_back(
        {"custos_process_resident_bytes", "Resident memory", false, {}, resident_bytes()});
    out.push_back(
        {"custos_build_info", "Version of the program", false, {{"version", CUSTOS_VERSION}}, 1});
  });
}
metrics::~metrics() = default;

void metrics::add(source s) {
  impl_->sources.push_back(std::move(s));
}

std::string metrics::render() const {
  std::vector<metric_sample> samples;
  for (const auto& s : impl_->sources)
    s(samples);
  // Samples of one family stand together (text format 0.0.4), whichever sources they come from.
  std::vector<prometheus::MetricFamily> families;
  std::map<std::string, std::size_t, std::less<>> places;
  for (auto& sample : samples) {
    const auto [place, is_new] = places.emplace(sample.name, families.size());
    if (is_new)
      families.push_back({sample.name,
                          sample.help,
                          sample.histogram ? prometheus::MetricType::Histogram
                          : sample.counter ? prometheus::MetricType::Counter
                                           : prometheus::MetricType::Gauge,
                          {}});
    auto& family = families[place->second];
    prometheus::ClientMetric metric;
    for (auto& [name, value] : sample.labels)
      metric.label.push_back({name, value});
    if (sample.histogram) {
      metric.histogram.sample_count = sample.histogram->count;
      metric.histogram.sample_sum = sample.histogram->sum;
      for (const auto& [bound, below] : sample.histogram->buckets)
        metric.histogram.bucket.push_back({below, bound});
    } else if (family.type == prometheus::MetricType::Counter)
      metric.counter.value = sample.value;
    else
      metric.gauge.value = sample.value;
    family.metric.push_back(std::move(metric));
  }
  return prometheus::TextSerializer().Serialize(families);
}

} // namespace custos::runtime
