"""What a picture shows, without a prompt: likelihoods by category, phrases against pictures, and where a phrase is."""
