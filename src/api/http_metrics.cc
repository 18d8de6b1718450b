#include "api/http_metrics.h"

#include <string>

namespace muster {

HttpMetrics::HttpMetrics(MetricRegistry& registry, std::string_view server)
    : open(std::make_shared<std::atomic<std::int64_t>>(0)),
      accepted(registry.AddCounter("muster_http_connections_accepted_total", "Connections accepted.",
                                   {{"server", std::string(server)}})),
      refused(registry.AddCounter("muster_http_connections_refused_total",
                                  "Connections refused at the bound of connections or of open files.",
                                  {{"server", std::string(server)}})),
      shed(registry.AddCounter("muster_http_connections_shed_total",
                               "Connections ended since their clients neither read nor sent while room was short.",
                               {{"server", std::string(server)}})),
      received_bytes(registry.AddCounter("muster_http_received_bytes_total", "Bytes received from clients.",
                                         {{"server", std::string(server)}})),
      sent_bytes(registry.AddCounter("muster_http_sent_bytes_total", "Bytes sent to clients.",
                                     {{"server", std::string(server)}})),
      duration(registry.AddHistogram("muster_http_request_duration_seconds",
                                     "From the end of a request's arrival until its answer is handed over for sending.",
                                     {{"server", std::string(server)}})) {
  registry.AddGauge("muster_http_connections_open", "Connections open now.",
                    [count = open] { return static_cast<double>(count->load(std::memory_order_relaxed)); },
                    {{"server", std::string(server)}});
  for (std::size_t digit = 1; digit < answers.size(); ++digit) {
    answers[digit] =
        &registry.AddCounter("muster_http_requests_total", "Requests answered, by the class of the status.",
                             {{"server", std::string(server)}, {"class", std::to_string(digit) + "xx"}});
  }
  answers[0] = answers[5];
}

}  // namespace muster
