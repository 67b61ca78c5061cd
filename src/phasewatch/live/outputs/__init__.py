"""Incidents sent to where people look: OCSF over syslog or HTTP, from the same record."""
