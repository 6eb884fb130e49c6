output "dashboard_url" {
  description = "Path of the dashboard."
  value       = datadog_dashboard_json.dispatcher.url
}

output "monitor_ids" {
  description = "Ids of the monitors, by name."
  value       = { for name, monitor in datadog_monitor_json.dispatcher : name => monitor.id }
}
