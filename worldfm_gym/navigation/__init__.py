"""Navigation: occupancy, clearance, geodesic distance and collision response."""
