"""The OpenAPI documents of both dialects, and the Postman collections that follow from them."""
