"""Why a batch does not move: findings and the checks that make them."""
