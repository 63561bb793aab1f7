"""Names of the parts that act by themselves, as audit events and requests of the store have them."""

LIFECYCLE_CONTROLLER = "lifecycle_controller"
