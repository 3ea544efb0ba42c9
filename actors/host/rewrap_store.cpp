#include "actors/host/rewrap_store.hpp"

#include "adapters/json/json.hpp"

#include <boost/json.hpp>

namespace custos::host {

namespace {

constexpr std::string_view totals_key = "rewrap";

result<rewrap_totals> read(std::string_view document) {
  CUSTOS_TRY(auto o, json::parse_object(document));
  rewrap_totals out;
  CUSTOS_TRY(out.last_rewrap, o.integer("last_rewrap", 0, INT64_MAX));
  CUSTOS_TRY(const auto count, o.integer("rewrapped", 0, INT64_MAX));
  out.rewrapped = static_cast<std::uint64_t>(count);
  CUSTOS_CHECK(o.finish());
  return out;
}

} // namespace

result<rewrap_totals> load_rewrap_totals(const rocksdb::kv_store& store) {
  CUSTOS_TRY(const auto kept, store.get(totals_key));
  if (!kept)
    return rewrap_totals{};
  auto out = read(as_text(*kept));
  if (!out)
    return make_error(errc::corrupted,
                      "the rewrap totals in the host's store: " + out.failure().message);
  return out;
}

result<void> save_rewrap_totals(rocksdb::kv_store& store, const rewrap_totals& totals) {
  rocksdb::write_batch batch;
  batch.put(std::string(totals_key),
            json::canonical(boost::json::object{{"last_rewrap", totals.last_rewrap},
                                                {"rewrapped", totals.rewrapped}}));
  return store.write(batch);
}

} // namespace custos::host
